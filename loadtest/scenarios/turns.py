"""Lets workers ask outside of what is measured, to bring the service to where the load starts."""

from collections.abc import Callable, Sequence

from loadtest.engine.pace import Worker
from loadtest.engine.site import Site
from loadtest.engine.tasks import together


async def take_turns(site: Site, workers: Sequence[Worker], is_ready: Callable[[int], bool]) -> None:
    """Let every worker ask over a connection of its own, until `is_ready`, which is given its number, says so.

    Nothing of it is recorded. Raises: LoadFailed, Violation.
    """

    async def prepare(number: int) -> None:
        connection = await site.connect()
        try:
            while not is_ready(number):
                _, wanted = workers[number].ask()
                sent_s = site.now_s()
                answer = await connection.call(wanted)
                workers[number].take(answer, sent_s, site.now_s())
        finally:
            connection.close()

    await together(prepare(number) for number in range(len(workers)))
