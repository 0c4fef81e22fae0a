"""Tasks that run beside a block and end with it, while the block's own error stays alone: it is never put into a group."""

from types import TracebackType

import trio


class Background:
    """A nursery for tasks that raise nothing.

    An error of the block leaves it as it was raised, so that `except ReservationConflict` around it matches (a plain nursery
    would wrap it in a group). A task that does raise is a defect: it cancels the block and comes out as a group.
    """

    def __init__(self) -> None:
        self._manager = trio.open_nursery()

    async def __aenter__(self) -> trio.Nursery:
        self._nursery = await self._manager.__aenter__()
        return self._nursery

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._nursery.cancel_scope.cancel()
        if error is None or isinstance(error, trio.Cancelled):
            return await self._manager.__aexit__(kind, error, trace)
        await self._manager.__aexit__(None, None, None)
        return False
