"""Giving a reservation away, asking for one, taking one by force: issue 3 point 6, decisions/0009-handing-over.md."""

from typing import Any

import pytest
from handler_bench import LOCAL, REMOTE, Bench, bench_of, claiming, proving
from pytest import raises

from intermute.core import limits
from intermute.core.agents import Caller
from intermute.core.api.checks import CheckReservations, ValidateReservation
from intermute.core.api.handing_over import ForceRelease, RequestRelease, TransferReservation
from intermute.core.api.messages import MessageView, ReadMessage
from intermute.core.api.reservations import (
    GetReservation,
    ListReservations,
    ReleaseReservation,
    RenewReservation,
    Reserve,
)
from intermute.core.errors import (
    AgentIdentityMismatch,
    DomainError,
    InvalidRequest,
    NotYours,
    ReservationConflict,
    ReservationEnded,
    ReservationLimit,
    TransferConflict,
    UnknownAgent,
    UnknownReservation,
)


@pytest.fixture
def bench() -> Bench:
    """A project with the agents anna and ben."""
    return bench_of("anna", "ben")


def agent_id(bench: Bench, name: str) -> str:
    """Return the id of an agent."""
    return bench.state.agents.canonical(name)


def last_letter(bench: Bench, agent: str) -> MessageView:
    """Return the newest message in an inbox."""
    return bench.inbox(agent).messages[-1]


def give(
    bench: Bench, reservation_id: str, to: str = "ben", caller: Caller = LOCAL, **more: Any
) -> Any:  # Any: fields.
    """Hand a reservation over and return the reply."""
    return bench.run(TransferReservation(reservation_id=reservation_id, to=to, **more), caller)


def ask_for(bench: Bench, reservation_id: str, agent: str = "ben", **more: Any) -> Any:  # Any: as `give`.
    """Ask a holder to let go and return the reply."""
    return bench.run(RequestRelease(reservation_id=reservation_id, agent_id=agent, **more))


def force(reservation_id: str, **more: Any) -> ForceRelease:  # Any: as `give`.
    """Return the command that takes a reservation."""
    return ForceRelease(reservation_id=reservation_id, reason="the build is broken", **more)


# ---- giving


def test_transfer_keeps_all_but_holder_and_fence(bench: Bench) -> None:
    """Same id, patterns, mode and remaining time; another holder, under a fence above all before it."""
    granted = bench.run(Reserve(agent_id="anna", patterns=["src/**", "docs/*"], ttl_seconds=600, reason="IM-1"))
    bench.reserve("ben", "lib")
    bench.wait(100)

    handed = give(bench, granted.id, reason="your turn")

    assert (handed.id, handed.patterns, handed.mode, handed.reason) == (
        granted.id,
        granted.patterns,
        "exclusive",
        "IM-1",
    )
    assert (handed.held_by, handed.expires_in_ms, handed.created_at) == ("ben", 500_000, granted.created_at)
    assert handed.fence > bench.state.leases.held_by(bench.state.agents.canonical("ben"))[0].fence > granted.fence


def test_transfer_tells_everyone_and_the_receiver(bench: Bench) -> None:
    """The event names both agents and both fences; the receiver finds a message from the giver."""
    granted = bench.reserve("anna", "src/**")

    handed = give(bench, granted.id, reason="your turn")

    event = next(each for each in bench.events() if each.type == "reservation.transferred")
    assert event.audience is None
    assert (event.cursor, event.data["fence"], event.data["old_fence"]) == (handed.fence, handed.fence, granted.fence)
    assert (event.data["from"], event.data["to"]) == (agent_id(bench, "anna"), agent_id(bench, "ben"))
    assert event.data["reason"] == "your turn"
    letter = last_letter(bench, "ben")
    assert (letter.sender, letter.to, letter.body, letter.thread_id) == ("anna", ["ben"], "your turn", "")
    assert "src/**" in (letter.subject or "")
    assert [each.type for each in bench.events()][-2:] == ["reservation.transferred", "message.created"]


def test_transfer_leaves_nothing_with_the_giver(bench: Bench) -> None:
    """Afterwards the receiver alone may renew and release, and the giver's fence is stale."""
    granted = bench.reserve("anna", "src/**")

    handed = give(bench, granted.id)

    with raises(NotYours):
        bench.run(ReleaseReservation(reservation_id=granted.id), claiming("anna"))
    with raises(ReservationConflict):
        bench.reserve("anna", "src/a")
    assert not bench.ask(ValidateReservation(reservation_id=granted.id, fence=granted.fence)).valid
    assert bench.ask(ValidateReservation(reservation_id=granted.id, fence=handed.fence)).valid
    bench.run(RenewReservation(reservation_id=granted.id), claiming("ben"))
    bench.run(ReleaseReservation(reservation_id=granted.id), claiming("ben"))


@pytest.mark.parametrize("is_same_process", [True, False])
def test_transfer_survives_a_restart(bench: Bench, is_same_process: bool) -> None:
    """Holder, fence and time are there again after a crash of the actor and after one of the process."""
    granted = bench.reserve("anna", "src/**", ttl_s=600)
    handed = give(bench, granted.id)

    bench.crash() if is_same_process else bench.restart()

    found = bench.ask(GetReservation(reservation_id=granted.id))
    assert (found.held_by, found.fence, found.is_active) == ("ben", handed.fence, True)
    assert bench.state.leases.count_of(bench.state.agents.canonical("anna")) == 0
    assert not bench.ask(CheckReservations(pattern="src/a", agent="ben")).conflict


@pytest.mark.parametrize(
    ("caller", "given", "is_refused"),
    [
        (claiming("anna"), None, False),
        (LOCAL, "anna", False),
        (LOCAL, None, False),
        (LOCAL, "ben", True),
        (claiming("ben"), "anna", True),
        (REMOTE, None, True),
        (REMOTE, "anna", False),
    ],
)
def test_transfer_obeys_the_holder(bench: Bench, caller: Caller, given: str | None, is_refused: bool) -> None:
    """Who may release may give away, and nobody else."""
    granted = bench.reserve("anna", "a")
    before = bench.state.head

    [outcome] = bench.batch((TransferReservation(reservation_id=granted.id, to="ben", agent_id=given), caller))

    assert isinstance(outcome, NotYours) == is_refused
    assert (bench.state.head == before) == is_refused


@pytest.mark.parametrize(("to", "error"), [("nobody", UnknownAgent), ("anna", InvalidRequest)])
def test_transfer_needs_another_registered_agent(bench: Bench, to: str, error: type[DomainError]) -> None:
    """An address that nobody registered, and the holder itself, are refused; nothing changes."""
    granted = bench.reserve("anna", "a")

    with raises(error):
        give(bench, granted.id, to)

    assert bench.ask(GetReservation(reservation_id=granted.id)).fence == granted.fence


def test_transfer_of_what_is_not_there_is_refused(bench: Bench) -> None:
    """Unknown and ended ones, for all three operations."""
    gone = bench.reserve("anna", "a")
    bench.run(ReleaseReservation(reservation_id=gone.id))

    for name, error in (("nothing", UnknownReservation), (gone.id, ReservationEnded)):
        for command in (
            TransferReservation(reservation_id=name, to="ben"),
            RequestRelease(reservation_id=name, agent_id="ben"),
            force(name),
        ):
            with raises(error):
                bench.run(command)


@pytest.mark.parametrize(("held", "is_refused"), [(-2, False), (-1, False), (0, True)])
def test_transfer_counts_against_the_receivers_limit(bench: Bench, held: int, is_refused: bool) -> None:
    """An agent does not get more than it may have, whichever way it comes."""
    for number in range(limits.RESERVATIONS_PER_AGENT_MAX + held):
        bench.reserve("ben", f"b{number}")
    granted = bench.reserve("anna", "a")

    [outcome] = bench.batch((TransferReservation(reservation_id=granted.id, to="ben"), LOCAL))

    assert isinstance(outcome, ReservationLimit) == is_refused


def test_transfer_never_clashes_with_the_receivers_own(bench: Bench) -> None:
    """What the receiver shares with the giver already is no obstacle."""
    bench.reserve("ben", "src/**", shared=True)
    granted = bench.reserve("anna", "src/a", shared=True)

    assert give(bench, granted.id).held_by == "ben"


def test_transfer_does_not_part_what_only_one_holder_may_have(bench: Bench) -> None:
    """The giver's own overlapping reservations would be two holders' then, which never is; released, they are none."""
    wide = bench.reserve("anna", "src/**")
    narrow = bench.reserve("anna", "src/a")

    for each in (wide, narrow):
        with raises(TransferConflict) as refused:
            give(bench, each.id)
        assert len(refused.value.conflicts) == 1
    bench.run(ReleaseReservation(reservation_id=narrow.id))

    assert give(bench, wide.id).held_by == "ben"


def test_transfer_to_a_silent_agent_warns(bench: Bench) -> None:
    """The receiver is not heard by being given something: silent, it loses it with the next sweep."""
    bench.wait(limits.AGENT_SILENCE_S)
    bench.heartbeat("anna")
    granted = bench.reserve("anna", "a")

    handed = give(bench, granted.id)
    bench.tick()

    assert "silent" in handed.notes[0]
    assert bench.ask(GetReservation(reservation_id=granted.id)).ended == "owner_stale"


def test_transfer_twice_in_one_batch_goes_on(bench: Bench) -> None:
    """Given on before it is stored, ended, and asked for once more: each decision rests on the one before."""
    carl = bench.register("carl")
    granted = bench.reserve("anna", "a")

    first, second, third, fourth, fifth = bench.batch(
        (TransferReservation(reservation_id=granted.id, to="ben"), claiming("anna")),
        (TransferReservation(reservation_id=granted.id, to=carl.agent_id), claiming("anna")),
        (TransferReservation(reservation_id=granted.id, to=carl.agent_id), claiming("ben")),
        (ReleaseReservation(reservation_id=granted.id), claiming("carl")),
        (ReleaseReservation(reservation_id=granted.id), claiming("carl")),
    )

    assert (first.held_by, third.held_by) == ("ben", "carl")
    assert third.fence > first.fence
    assert isinstance(second, NotYours)
    assert fourth.released == [granted.id]
    assert isinstance(fifth, ReservationEnded)


def test_reads_show_the_old_holder_until_it_is_stored(bench: Bench) -> None:
    """A transfer on its way to the disk is shown by no read: a power cut could take it back (design.md 3.2)."""
    granted = bench.reserve("anna", "a")
    _, transactions = bench.decide((TransferReservation(reservation_id=granted.id, to="ben"), LOCAL))

    def seen() -> list[tuple[str, int]]:
        [conflict] = bench.ask(CheckReservations(pattern="a")).conflicts
        [listed] = bench.ask(ListReservations()).reservations
        one = bench.ask(GetReservation(reservation_id=granted.id))
        assert one.is_active
        return [(conflict.held_by, one.fence), (listed.held_by, listed.fence), (one.held_by, one.fence)]

    assert seen() == [("anna", granted.fence)] * 3
    assert not bench.ask(CheckReservations(pattern="a", agent="anna")).conflict
    assert bench.ask(CheckReservations(pattern="a", agent="ben")).conflict
    bench.store(transactions)

    assert {name for name, _ in seen()} == {"ben"}
    assert not bench.ask(CheckReservations(pattern="a", agent="ben")).conflict


def test_transfer_that_is_not_stored_never_was(bench: Bench) -> None:
    """After a fault the giver holds what it held, for the time it had, under the fence it had."""
    granted = bench.reserve("anna", "a", ttl_s=600)
    bench.decide((TransferReservation(reservation_id=granted.id, to="ben"), LOCAL))

    bench.crash()

    found = bench.ask(GetReservation(reservation_id=granted.id))
    assert (found.held_by, found.fence, found.expires_in_ms) == ("anna", granted.fence, 600_000)


# ---- asking


def test_request_tells_the_holder_and_everyone(bench: Bench) -> None:
    """The holder finds who wants what and why; the log says it to all."""
    granted = bench.reserve("anna", "src/**")

    reply = ask_for(bench, granted.id, reason="release at noon")

    event = next(each for each in bench.events() if each.type == "reservation.wanted")
    assert (event.data["wanted_by_name"], event.data["reason"], event.data["held_by"]) == (
        "ben",
        "release at noon",
        "anna",
    )
    letter = last_letter(bench, "anna")
    assert (letter.id, letter.sender, letter.body) == (reply.message_id, "ben", "release at noon")
    assert "src/**" in (letter.subject or "")
    assert (letter.metadata or {})["reservation_id"] == granted.id
    assert reply.asked
    assert bench.ask(GetReservation(reservation_id=granted.id)).held_by == "anna"


@pytest.mark.parametrize("restarts", [False, True])
def test_request_again_sends_nothing_until_the_first_is_read(bench: Bench, restarts: bool) -> None:
    """One unread message for each asker and reservation, over restarts too; the reply says so."""
    granted = bench.reserve("anna", "a")
    first = ask_for(bench, granted.id)
    if restarts:
        bench.restart()
    head = bench.state.head

    again = ask_for(bench, granted.id, agent_id(bench, "ben"))

    assert (again.asked, again.message_id, bench.state.head) == (False, first.message_id, head)
    assert "not read" in again.message
    bench.run(ReadMessage(message_id=first.message_id, agent="anna"))
    third = ask_for(bench, granted.id)
    assert third.asked
    assert third.message_id != first.message_id


def test_request_twice_in_one_batch_sends_one(bench: Bench) -> None:
    """Two that arrive together are one message; a mark that arrives in between makes room for the next."""
    granted = bench.reserve("anna", "a")
    request = (RequestRelease(reservation_id=granted.id, agent_id="ben"), LOCAL)

    first, second = bench.batch(request, request)
    _, third = bench.batch((ReadMessage(message_id=first.message_id, agent="anna"), LOCAL), request)

    assert [each.asked for each in (first, second, third)] == [True, False, True]
    assert len(bench.inbox("anna").messages) == 2


def test_request_goes_to_the_new_holder(bench: Bench) -> None:
    """After a transfer the one who holds it now is asked, whatever lies unread with the one before; others ask too."""
    bench.register("carl")
    granted = bench.reserve("anna", "a")
    ask_for(bench, granted.id, "carl")
    give(bench, granted.id)

    assert ask_for(bench, granted.id, "carl").held_by == "ben"
    assert ask_for(bench, granted.id, "anna").asked
    assert [each.sender for each in bench.inbox("ben").messages] == ["anna", "carl", "anna"]


def test_request_of_an_asker_that_registers_is_the_same(bench: Bench) -> None:
    """Who asked under a name before it registered has asked."""
    granted = bench.reserve("anna", "a")
    ask_for(bench, granted.id, "dora")
    bench.register("dora")

    assert not ask_for(bench, granted.id, "dora").asked


def test_requests_are_bounded(bench: Bench) -> None:
    """However many names ask, the holder's inbox gets a hundred unread requests for one reservation at most."""
    granted = bench.reserve("anna", "a")

    asked = [ask_for(bench, granted.id, f"x{number}").asked for number in range(limits.REQUESTS_UNREAD_MAX + 1)]

    assert asked == [True] * limits.REQUESTS_UNREAD_MAX + [False]
    assert ask_for(bench, granted.id, "another").message_id is None


def test_request_needs_another_agent(bench: Bench) -> None:
    """One's own reservation, and an asker without a name, are refused; a proved caller asks for itself alone."""
    granted = bench.reserve("anna", "a")
    carl = bench.register("carl")

    with raises(InvalidRequest):
        ask_for(bench, granted.id, "anna")
    with raises(InvalidRequest):
        bench.run(RequestRelease(reservation_id=granted.id))
    with raises(AgentIdentityMismatch):
        bench.run(RequestRelease(reservation_id=granted.id, agent_id="ben"), proving(carl))
    bench.run(RequestRelease(reservation_id=granted.id), proving(carl))

    assert last_letter(bench, "anna").sender_verified
