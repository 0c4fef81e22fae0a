"""Requests under a key, sent again until they are answered, on a disk that fails at any moment: each is done once (G4)."""

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
import trio
from faulty_vfs import Disk, Failure, faulty_disk
from handler_bench import Keyed, keyed
from open_projects import DEMO, Service, serving
from trio.testing import MockClock

from intermute.core.api.agents import RegisterAgent
from intermute.core.api.messages import SendMessage
from intermute.core.errors import OutcomeUnknown, Overloaded, ProjectParked, StorageFull, StorageUnavailable
from intermute.core.once import Reply
from intermute.store.connection import close, open_reader
from intermute.store.directory import DataDirectory

DOUBTFUL = (OutcomeUnknown, StorageUnavailable, StorageFull, ProjectParked, Overloaded)
ROUNDS: Sequence[Sequence[str]] = (("a", "a", "b"), ("c", "d", "c", "a"), ("e",))
"""Keys that are sent at the same time, some of them twice; one letter each comes of them."""


def letter(key: str) -> Keyed:
    """Return a letter without an id, whose body is its key."""
    return keyed(SendMessage(sender="anna", to=["ben"], body=key), key)


async def insist(service: Service, key: str) -> Reply:
    """Send until there is an answer, and return it."""
    for _ in range(200):
        outcome = await service.outcome(*letter(key))
        if isinstance(outcome, Reply):
            return outcome
        assert isinstance(outcome, DOUBTFUL), outcome
        await trio.sleep(1)
    raise AssertionError(f"no answer for {key}")


async def play(root: Path, at: int, failure: Failure) -> tuple[dict[str, set[bytes]], Disk, int]:
    """Send everything while the operation with this number fails; return what was answered, before the process dies."""
    answers: dict[str, set[bytes]] = {}

    async def send(service: Service, key: str) -> None:
        answers.setdefault(key, set()).add((await insist(service, key)).body)

    with faulty_disk() as disk:
        async with serving(root) as service:
            await service.run(
                RegisterAgent(name="anna")
            )  # The file is there: what fails when it is made is tried elsewhere.
            disk.fail(at, failure)
            for keys in ROUNDS:
                async with trio.open_nursery() as nursery:
                    for key in keys:
                        nursery.start_soon(send, service, key)
            operations = disk.operations
            crash_image(root, root / "crashed")
    return answers, disk, operations


def crash_image(root: Path, target: Path) -> None:
    """Copy what a process that is killed now leaves."""
    target.mkdir()
    for each in [*root.glob("*.db"), *root.glob("*.db-wal")]:
        shutil.copy(each, target)


async def repeat(root: Path, keys: Sequence[str]) -> dict[str, set[bytes]]:
    """Send everything once more to a new process on these files."""
    async with serving(root) as service:
        return {key: {(await insist(service, key)).body} for key in keys}


def letters(root: Path) -> list[str]:
    """Return the bodies of all letters, sorted."""
    connection = open_reader(DataDirectory(root).path_of(DEMO))
    try:
        return [str(body) for (body,) in connection.execute("SELECT body FROM messages ORDER BY body")]
    finally:
        close(connection)


@pytest.mark.parametrize("failure", [Failure.EIO, Failure.FULL])
def test_every_key_is_applied_once_whatever_fails(tmp_path: Path, failure: Failure) -> None:
    """One effect and one answer for each key, also after the process is killed and everything is sent once more."""
    keys = sorted({key for each in ROUNDS for key in each})
    clock = partial(MockClock, autojump_threshold=0)
    _, _, operations = trio.run(partial(play, tmp_path / "clean", 10**9, failure), clock=clock())
    failures = 0

    for at in range(1, operations + 1):
        root = tmp_path / str(at)
        answers, disk, _ = trio.run(partial(play, root, at, failure), clock=clock())
        failures += bool(disk.failures)
        assert (at, disk.log[:1], letters(root)) == (at, disk.log[:1], keys)
        again = trio.run(partial(repeat, root / "crashed", keys), clock=clock())
        assert (at, disk.log[:1], letters(root / "crashed")) == (at, disk.log[:1], keys)
        assert (at, disk.log[:1], again) == (at, disk.log[:1], answers)

    assert failures > operations / 3 > 10
