"""Where readers wait for a project that nobody has written to yet: without a file, and without taking its place among others."""

from collections.abc import Iterator
from contextlib import contextmanager

import trio

from intermute.core import limits
from intermute.core.errors import ShuttingDown, TooManySubscribers
from intermute.core.ids import ProjectName


class Arrivals:
    """The readers that wait, by the name of their project."""

    def __init__(self) -> None:
        self._waiting: dict[ProjectName, set[trio.Event]] = {}
        self._count = 0
        self._is_closed = False

    def __len__(self) -> int:
        return self._count

    @contextmanager
    def expecting(self, name: ProjectName) -> Iterator[trio.Event]:
        """Return an event that is set once the project is there, or once `check_open` raises.

        Raises: TooManySubscribers, ShuttingDown.
        """
        self.check_open()
        if self._count >= limits.ABSENT_READERS_MAX:
            raise TooManySubscribers(is_absent=True)
        arrived = trio.Event()
        self._waiting.setdefault(name, set()).add(arrived)
        self._count += 1
        try:
            yield arrived
        finally:
            self._leave(name, arrived)

    def check_open(self) -> None:
        """Raises: ShuttingDown, once nobody can arrive any more."""
        if self._is_closed:
            raise ShuttingDown

    def note(self, name: ProjectName) -> None:
        """Send those on their way who wait for this project; their places are free again."""
        for arrived in list(self._waiting.get(name, ())):
            self._leave(name, arrived)
            arrived.set()

    def close(self) -> None:
        """Send everyone home, now and from now on."""
        self._is_closed = True
        for name in list(self._waiting):
            self.note(name)

    def _leave(self, name: ProjectName, arrived: trio.Event) -> None:
        places = self._waiting.get(name)
        if places is None or arrived not in places:
            return  # It has arrived.
        places.discard(arrived)
        self._count -= 1
        if not places:
            del self._waiting[name]
