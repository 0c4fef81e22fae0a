"""The reader of one project: reads see committed facts only, and never wait for a flush (design.md 3.5)."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import apsw

from intermute.store.connection import close, open_reader, snapshot
from intermute.store.faults import as_faults
from intermute.store.hop import Hop, SharedHop

Result = TypeVar("Result")


class Reader:
    """One read connection, used by one thread at a time; reads that wait go to it together.

    Resources: whoever calls `open` calls `close`.
    """

    def __init__(self, path: Path, hop: Hop) -> None:
        self._path = path
        self._connection: apsw.Connection | None = None
        self._hop = SharedHop(hop)

    async def open(self) -> None:
        """Open the file, unless it is open: the reader outlives the runs of the actor. Raises: StoreFault."""
        if self._connection is None:
            self._connection = await self._hop(partial(open_reader, self._path))

    async def read(self, work: Callable[[apsw.Connection], Result], *, is_long: bool = False) -> Result:
        """Return what `work` reads from one snapshot of the file. Raises: StoreFault, and what `work` raises.

        Args: is_long, it may take a good while: nobody's result waits for it.
        """
        return await self._hop(partial(self._read, work), alone=is_long)

    async def close(self, *, is_damaged: bool = False) -> None:
        """Close the connection; a damaged file is left as it is. Raises: StoreFault; it is closed all the same."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._hop(partial(close, connection, leaves_log=is_damaged))

    def _read(self, work: Callable[[apsw.Connection], Result]) -> Result:
        assert self._connection is not None, "the reader is open while its project serves"
        with as_faults(self._connection), snapshot(self._connection) as connection:
            return work(connection)
