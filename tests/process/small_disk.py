"""A real disk of a few MiB that a test can fill: memory, mounted in a name space that only this user's processes see."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from machine import lacking

MIB = 1024 * 1024
_BLOCK = b"x" * 4096
_WAYS = ((("--user", "--map-root-user"), ("--user", "--mount")), ((), ("--mount",)))
"""What `unshare` is to make besides a name space of mounts, and what `nsenter` enters then."""


class SmallDisk:
    """The disk as seen from inside (`wrapper`, for processes that use it) and from outside (`path`, for the test)."""

    def __init__(self, holder: int, mounted_at: Path, spaces: Sequence[str]) -> None:
        self.path = Path(f"/proc/{holder}/root") / mounted_at.relative_to("/")
        self.wrapper = ("nsenter", "--target", str(holder), *spaces, "--preserve-credentials")

    def fill(self, *, leaves_bytes: int = 0) -> None:
        """Leave no byte free, or this many."""
        with (self.path / "filling").open("wb", buffering=0) as filling:
            with suppress(OSError):
                while True:
                    filling.write(_BLOCK)
            filling.truncate(filling.tell() - leaves_bytes)

    def make_space(self) -> None:
        """Take the filling away."""
        (self.path / "filling").unlink()

    def used_by(self, name: str) -> int:
        """Return how many bytes of it a file takes."""
        found = self.path / name
        return found.stat().st_blocks * 512 if found.exists() else 0


@contextmanager
def small_disk(mount_at: Path, size_bytes: int) -> Iterator[SmallDisk]:
    """Mount a disk for the length of the block: as anybody in a name space of users, or as root without one."""
    mount_at.mkdir(mode=0o700, parents=True)
    mount = f'mount -t tmpfs -o size={size_bytes},mode=0700 none "$0" && echo mounted && exec sleep 600'
    for enters, spaces in _WAYS:
        with subprocess.Popen(
            ["unshare", *enters, "--mount", "sh", "-c", mount, str(mount_at)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as holder:
            try:
                assert holder.stdout is not None
                if holder.stdout.readline() == "mounted\n":
                    yield SmallDisk(holder.pid, mount_at, spaces)
                    return
            finally:
                holder.kill()
    lacking("this machine lets nobody mount")
