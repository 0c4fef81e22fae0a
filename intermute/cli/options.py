"""Flags that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from intermute.config import DEFAULT_DATA

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
