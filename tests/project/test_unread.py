"""How many messages an agent has not read: told from memory, and always what is stored (issue 6 point 4)."""

import random
from pathlib import Path

import pytest
from handler_bench import LOCAL, REMOTE, Bench, bench_of, claiming, proving
from open_projects import serving
from trio.testing import MockClock

from intermute.core.agents import Caller
from intermute.core.api.agents import DeregisterAgent, RegisterAgent
from intermute.core.api.broadcasts import Broadcast
from intermute.core.api.messages import AckMessage, InboxCounts, ReadMessage, SendMessage
from intermute.store import unread as rows


@pytest.fixture
def bench() -> Bench:
    """A project with the agents anna and ben."""
    return bench_of("anna", "ben")


def unread(bench: Bench, agent: str) -> int | None:
    """Return what an agent is told."""
    return bench.state.unread_of(claiming(agent))


def check(bench: Bench) -> None:
    """Compare memory with what is stored, by the count of a start and by that of each inbox."""
    assert bench.state.unread == rows.count(bench.connection)
    for agent in bench.state.agents:
        assert unread(bench, agent.id) == bench.ask(InboxCounts(agent=agent.id)).unread


def test_unread_grows_with_mail_and_falls_with_reading(bench: Bench) -> None:
    """Reading counts once, and acknowledging is another fact: it reads nothing."""
    for number in range(3):
        bench.send("anna", "ben", message_id=f"m{number}")
    assert unread(bench, "ben") == 3

    bench.run(AckMessage(message_id="m0", agent="ben"))
    assert unread(bench, "ben") == 3
    for _ in range(2):
        bench.run(ReadMessage(message_id="m1", agent="ben"))

    assert (unread(bench, "ben"), unread(bench, "anna")) == (2, 0)
    check(bench)


def test_unread_is_of_each_recipient_once(bench: Bench) -> None:
    """To, cc and bcc alike, however often an agent is named."""
    bench.run(SendMessage(sender="anna", to=["ben", "ben"], cc=["ben"], bcc=["anna"]))

    assert (unread(bench, "anna"), unread(bench, "ben")) == (1, 1)


def test_unread_stays_where_a_message_is_sent_again_or_rewritten(bench: Bench) -> None:
    """A repeat adds nothing; a rewritten one is as read as it was, and unread for those whom it reaches newly."""
    bench.send("anna", "ben", message_id="m")
    bench.run(ReadMessage(message_id="m", agent="ben"))
    bench.send("anna", "ben", message_id="m")
    bench.register("carl")

    bench.run(SendMessage(sender="anna", to=["ben", "carl"], id="m", body="other"))

    assert (unread(bench, "ben"), unread(bench, "carl")) == (0, 1)
    check(bench)


def test_unread_comes_with_the_name(bench: Bench) -> None:
    """What was sent to a name before anyone had it is unread for who registers under it."""
    bench.send("anna", "carl")

    bench.register("carl")

    assert unread(bench, "carl") == 1
    check(bench)


def test_unread_of_a_broadcast_is_of_everyone_but_its_sender(bench: Bench) -> None:
    """All entries of one statement are counted."""
    for number in range(20):
        bench.register(f"a{number}")

    bench.run(Broadcast(sender="anna", topic="t", body="x"))

    assert [unread(bench, name) for name in ("anna", "ben", "a19")] == [0, 1, 1]
    check(bench)


def test_unread_is_not_known_of_an_agent_that_left(bench: Bench) -> None:
    """Nor is it remembered."""
    bench.send("anna", "ben")
    ben = bench.state.agents.canonical("ben")

    bench.run(DeregisterAgent(agent="ben"))

    assert (unread(bench, ben), bench.state.unread) == (None, {})


def test_unread_counts_what_is_deleted(bench: Bench) -> None:
    """Whoever deletes messages need not know of the counts: the entries go with their message."""
    bench.send("anna", "ben", message_id="m")

    bench.connection.execute("PRAGMA foreign_keys = ON")
    bench.connection.execute("DELETE FROM messages WHERE id = 'm'")
    bench.state.note_unread(bench.unread.take())

    check(bench)
    assert unread(bench, "ben") == 0


def test_unread_is_told_to_who_is_sure_to_be_it(bench: Bench) -> None:
    """A token makes sure, and a local caller's word does; a stranger's does not, nor does a wrong token or no agent."""
    carl, dora = bench.register("carl"), bench.register("dora")
    bench.send("anna", "carl")

    told = [
        bench.state.unread_of(caller)
        for caller in (
            proving(carl),
            claiming("carl"),
            claiming(carl.agent_id),
            claiming("carl", is_local=False),
            Caller(is_local=True, claims="dora", token_hash=proving(carl).token_hash),
            Caller(is_local=True, claims="carl", token_hash=b"x"),
            claiming("nobody"),
            LOCAL,
            REMOTE,
            proving(dora),
        )
    ]

    assert told == [1, 1, 1, None, None, None, None, None, None, 0]


@pytest.mark.parametrize("seed", range(8))
def test_unread_agrees_with_the_disk_whatever_happens(seed: int) -> None:
    """Random mail, reading, registering under new names, leaving and starting anew: memory is what is stored."""
    pick = random.Random(seed)
    bench, names = Bench(seed), ["anna", "ben", "carl", "dora"]
    sessions = {name: f"00000000-0000-4000-8000-{number:012}" for number, name in enumerate(names)}

    def something() -> object:
        some, other = pick.sample(names, 2)
        message_id = f"m{pick.randrange(12)}"
        return pick.choice(
            (
                SendMessage(sender=some, to=pick.sample(names, 3), cc=[other], id=message_id, body=str(pick.random())),
                SendMessage(sender=some, to=[other]),
                ReadMessage(message_id=message_id, agent=some),
                AckMessage(message_id=message_id, agent=some),
                RegisterAgent(name=some, session_id=sessions[some]),
                RegisterAgent(name=other, session_id=sessions[some]),
                DeregisterAgent(agent=some),
                Broadcast(sender=some, topic="t", body="x"),
            )
        )

    for step in range(120):
        outcomes = bench.batch(*[(something(), LOCAL) for _ in range(pick.randrange(1, 5))])
        assert all(outcome is not None for outcome in outcomes)
        bench.wait(pick.choice((1, 400)))
        check(bench)
        if step % 40 == 39:
            pick.choice((bench.restart, bench.crash))()
            check(bench)


async def test_unread_is_told_as_it_is_stored(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Through the writer: after each commit, without a read; after a restart of the actor, and after closing the file."""
    async with serving(tmp_path) as service:
        await service.run(RegisterAgent(name="ben"))
        ben = claiming("ben")

        def told() -> int | None:
            assert service.project.state is not None
            return service.project.state.unread_of(ben)

        service.gate.reads_fail = True
        for number in range(3):
            await service.run(SendMessage(sender="anna", to=["ben"], id=f"m{number}"))
            assert told() == number + 1
        service.gate.reads_fail = False
        await service.supervisor.restart("project:demo")
        await service.run(ReadMessage(message_id="m0", agent="ben"))
        assert told() == 2
        await service.stop_project()
        await service.run(InboxCounts(agent="ben"))
        assert told() == 2
