"""A change whose answer was lost is applied once: the client's keys against a real service whose replies are dropped."""

from collections.abc import Callable

import pytest
from carriers import Cut, proxy_to

from intermute.client import Client, NoAnswer, Retries
from intermute.core.api.entities import TYPES
from intermute.core.api.messages import SendMessage, Sent
from intermute.core.entities.definition import Kind
from intermute.embedded import Server

EAGER = Retries(first_s=0.005, longest_s=0.05)


def dropping(*numbers: int) -> Callable[[], Cut]:
    """Return a cut that lets nothing of these connections' answers through: the service has answered, nobody hears it."""
    return lambda: lambda number: 1 if number in numbers else None


async def test_changes_whose_answers_are_lost_are_applied_once(hosted: Server, project: str) -> None:
    """Registering, sending, reserving and making a task, each answered in vain, leave one of each."""
    lost = {"due": True}

    def cut(_number: int) -> int | None:
        return 1 if lost.pop("due", None) else None

    async with proxy_to(hosted.url, cut) as proxy, Client(hosted.url, project=project) as direct:

        def lose_next() -> None:
            lost["due"] = True
            proxy.hang_up()

        async with Client(proxy.url, project=project, retries=EAGER) as client:
            anna = await client.agents.register("anna")
            lose_next()
            sent = await client.messages.send("ben", "hello")
            lose_next()
            held = await client.reservations.reserve("src/**")
            lose_next()
            task = await client.tasks.create(title="once")

        assert proxy.cuts == 4
        assert [each.agent_id for each in (await direct.agents.list()).agents] == [anna.agent_id]
        inbox = Client(hosted.url, project=project, agent_name="ben")
        async with inbox as ben:
            assert [each.id async for each in ben.inbox.messages()] == [sent.message_id]
        assert [each.id for each in (await direct.reservations.list()).reservations] == [held.id]
        assert [each.id async for each in direct.tasks.every()] == [task.id]


async def test_change_without_a_key_is_told_to_be_open(hosted: Server, project: str) -> None:
    """Control: without a key the lost answer is the caller's to look into, and asking again makes a second one."""
    question = SendMessage(sender="anna", to=["ben"], body="hello", project=project)
    async with proxy_to(hosted.url, dropping(0)()) as proxy, Client(proxy.url, retries=EAGER) as client:
        with pytest.raises(NoAnswer) as failed:
            await client.call(question, Sent, is_keyed=False)
        await client.call(question, Sent, is_keyed=False)

    assert failed.value.may_be_done
    async with Client(hosted.url, project=project, agent_name="ben") as ben:
        assert (await ben.inbox.counts()).total == 2


async def test_own_key_makes_one_of_two_calls(hosted: Server, project: str) -> None:
    """A key that the caller keeps makes the same call once, also from another client."""
    types = TYPES[Kind.TASK]
    made: list[object] = []
    for _ in range(2):
        async with Client(hosted.url, project=project) as client:
            made.append(await client.call(types.create(title="once"), types.view, key="mine"))

    assert made[0] == made[1]
