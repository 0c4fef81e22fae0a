"""The ballast: really taken, for its owner alone, and as large as it may be (guarantees.md G19)."""

import errno
import os
from pathlib import Path

import pytest
from pytest import raises

from intermute.store.ballast import Ballast

MIB = 1024 * 1024


class Scarce(Ballast):
    """A ballast on a disk with this much free room."""

    free: int | None = None

    def free_bytes(self) -> int | None:
        """Return what the test says."""
        return self.free


def refused(code: int) -> None:
    """Refuse to allocate."""
    raise OSError(code, os.strerror(code))


def taken_bytes(path: Path) -> int:
    """Return how much of the disk a file takes."""
    return path.stat().st_blocks * 512


def test_ballast_takes_its_room(tmp_path: Path) -> None:
    """Its blocks are there, and nobody else can read it, whatever the umask."""
    path = tmp_path / "ballast"
    old = os.umask(0)
    try:
        size = Ballast(path, 2 * MIB).take(spares_bytes=0)
    finally:
        os.umask(old)

    assert size == path.stat().st_size == 2 * MIB
    assert taken_bytes(path) >= 2 * MIB
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS])
def test_ballast_is_written_where_it_cannot_be_allocated(tmp_path: Path, code: int) -> None:
    """A file system without allocation is written to, so that the room is taken all the same."""
    path = tmp_path / "ballast"

    Ballast(path, MIB, lambda _file, _offset, _count: refused(code)).take(spares_bytes=0)

    assert taken_bytes(path) >= MIB


def test_ballast_without_allocation_is_written(tmp_path: Path) -> None:
    """Nor does it need a system that knows allocation at all."""
    assert Ballast(tmp_path / "ballast", MIB, None).take(spares_bytes=0) == MIB


@pytest.mark.parametrize(("free", "size"), [(3 * MIB - 1, 0), (3 * MIB, 2 * MIB), (None, 2 * MIB)])
def test_ballast_spares_room_for_others(tmp_path: Path, free: int | None, size: int) -> None:
    """It is taken only where as much as was asked for stays free."""
    ballast = Scarce(tmp_path / "ballast", 2 * MIB)
    ballast.free = free

    assert ballast.take(spares_bytes=MIB) == size


@pytest.mark.parametrize(("free", "size"), [(0, 0), (65_535, 0), (65_536, 65_536), (MIB + 1, MIB), (5 * MIB, 2 * MIB)])
def test_ballast_takes_back_what_is_left(tmp_path: Path, free: int, size: int) -> None:
    """After it was given up it takes what there is, in whole blocks, and never more than it had."""
    ballast = Scarce(tmp_path / "ballast", 2 * MIB)
    ballast.take(spares_bytes=0)
    had_bytes = ballast.give_up()
    assert ballast.size_bytes() == 0
    ballast.free = free

    assert ballast.take_back(had_bytes) == size


def test_ballast_is_completed(tmp_path: Path) -> None:
    """What could not be taken back is taken later, in addition to what is there."""
    ballast = Scarce(tmp_path / "ballast", 2 * MIB)
    ballast.free = MIB
    assert ballast.take_back(2 * MIB) == MIB
    ballast.free = None

    assert ballast.take(spares_bytes=0) == 2 * MIB
    assert ballast.take(spares_bytes=0) == 2 * MIB


def test_ballast_with_holes_is_filled(tmp_path: Path) -> None:
    """A copy that takes no room, as a backup may leave it, is none."""
    path = tmp_path / "ballast"
    with path.open("wb") as file:
        file.truncate(MIB)
    assert Ballast(path, MIB).size_bytes() == 0

    Ballast(path, MIB).take(spares_bytes=0)

    assert taken_bytes(path) >= MIB


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_ballast_without_room_stays_as_it_was(tmp_path: Path, code: int) -> None:
    """Where there is less room than the system says, nothing is taken and nothing raised."""
    ballast = Ballast(tmp_path / "ballast", MIB, lambda _file, _offset, _count: refused(code))

    assert ballast.take(spares_bytes=0) == 0
    assert ballast.take_back(MIB) == 0


def test_ballast_behind_a_link_is_refused(tmp_path: Path) -> None:
    """A link in its place leads to no other file."""
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "ballast").symlink_to(tmp_path / "precious")

    with raises(OSError):
        Ballast(tmp_path / "ballast", MIB).take(spares_bytes=0)

    assert (tmp_path / "precious").read_text() == "precious"
