"""Tasks that run at the same time, and whose errors come as they are: one `LoadFailed` or `Violation`, in no group."""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any

import trio

from loadtest.engine.connection import LoadFailed
from loadtest.promises.history import Violation


async def together(jobs: Iterable[Coroutine[Any, Any, None]]) -> None:  # Any: nobody sends anything to a coroutine.
    """Run them at the same time; the first that fails ends all. Raises: LoadFailed, Violation."""
    failures: list[Exception] = []
    async with trio.open_nursery() as nursery:

        async def run(job: Coroutine[Any, Any, None]) -> None:  # Any: as above.
            try:
                await job
            except (LoadFailed, Violation) as failed:
                failures.append(failed)
                nursery.cancel_scope.cancel()

        for job in jobs:
            nursery.start_soon(run, job)
    if failures:
        raise failures[0]


@asynccontextmanager
async def beside(job: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Run a job while the block runs, and no longer; if it fails, the block is cancelled. Raises: LoadFailed, Violation."""
    failures: list[Exception] = []
    async with trio.open_nursery() as nursery:

        async def run() -> None:
            try:
                await job()
            except (LoadFailed, Violation) as failed:
                failures.append(failed)
                nursery.cancel_scope.cancel()

        nursery.start_soon(run)
        try:
            yield
        except (LoadFailed, Violation) as failed:
            failures.append(failed)
        nursery.cancel_scope.cancel()
    if failures:
        raise failures[0]
