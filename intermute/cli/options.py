"""Flags that several commands share, and what several do with them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import click

from intermute.app import ExitCode
from intermute.config import DEFAULT_DATA
from intermute.core.ids import ProjectName, normal_project_name
from intermute.store.directory import DataDirectory, DirectoryRefused

Command = TypeVar("Command", bound=Callable[..., None])


def data_option(text: str) -> Callable[[Command], Command]:
    """Return the flag that names the data directory; `--db` is its name in the original."""
    return click.option(
        "--data",
        "--db",
        "data",
        default=str(DEFAULT_DATA),
        show_default=True,
        type=click.Path(path_type=Path, file_okay=False),
        help=text,
    )


class Refused(click.ClickException):
    """The command was not done; the text says why and what to do."""

    exit_code = int(ExitCode.REFUSED)


def project_named(text: str) -> ProjectName:
    """Return the project that an operator names. Raises: click.UsageError."""
    name = normal_project_name(text.strip())
    if name is None:
        raise click.UsageError("use a project name of 1 to 128 printable characters")
    return name


def in_service_of(data: Path) -> DataDirectory:
    """Return a data directory to look into, whether a server runs on it or not. Raises: click.ClickException."""
    if not data.is_dir():
        raise click.ClickException(f"there is no directory {data}: name one with --data")
    return DataDirectory(data)


@contextmanager
def locked(data: Path) -> Iterator[DataDirectory]:
    """Keep servers away from a data directory, which is made if need be, for the length of the block. Raises: Refused."""
    directory = DataDirectory(data)
    try:
        directory.prepare()
        directory.lock()
    except DirectoryRefused as refused:
        raise Refused(f"{refused}. Nothing was changed.") from refused
    try:
        yield directory
    finally:
        directory.unlock()
