"""Taking a reservation by force: who may, who hears of it, what is kept (claims.md 5 and 8 S04)."""

from typing import Any

import pytest
from handler_bench import LOCAL, REMOTE, Bench, bench_of, claiming, proving
from pytest import raises

from intermute.core.agents import Caller
from intermute.core.api.audit import AuditRecord, ListAudit
from intermute.core.api.handing_over import ForceRelease
from intermute.core.api.reservations import GetReservation, ReleaseReservation
from intermute.core.errors import ForceReleaseRefused, InvalidRequest, NotYours, ReservationEnded

WHY = "the build is broken"


@pytest.fixture
def bench() -> Bench:
    """A project with the agents anna and ben."""
    return bench_of("anna", "ben")


def force(reservation_id: str, **more: Any) -> ForceRelease:  # Any: fields of the command.
    """Return the command that takes a reservation."""
    return ForceRelease(reservation_id=reservation_id, reason=WHY, **more)


def audit(bench: Bench) -> list[AuditRecord]:
    """Return the audit records."""
    records: list[AuditRecord] = bench.ask(ListAudit()).records
    return records


def test_force_release_by_an_operator_frees_the_path(bench: Bench) -> None:
    """A local caller takes what a live agent holds; the reservation has ended as forced."""
    granted = bench.reserve("anna", "src/**")

    reply = bench.run(force(granted.id))

    assert (reply.released, reply.held_by, reply.fence) == ([granted.id], "anna", granted.fence)
    assert bench.ask(GetReservation(reservation_id=granted.id)).ended == "forced"
    bench.reserve("ben", "src/a")
    with raises(ReservationEnded) as refused:
        bench.run(ReleaseReservation(reservation_id=granted.id), claiming("anna"))
    assert refused.value.how == "forced"


@pytest.mark.parametrize(
    ("caller", "more", "actor"),
    [(LOCAL, {}, "operator"), (LOCAL, {"agent_id": "ben"}, "ben"), (claiming("ben"), {}, "ben")],
)
def test_force_release_is_heard_and_kept(bench: Bench, caller: Caller, more: dict[str, str], actor: str) -> None:
    """Event, audit and the loser's message say who took what and why."""
    granted = bench.reserve("anna", "src/**")

    reply = bench.run(force(granted.id, **more), caller)

    event = next(each for each in bench.events() if each.type == "reservation.force_released")
    [record] = audit(bench)
    letter = bench.inbox("anna").messages[-1]
    assert event.cursor == record.cursor == reply.cursor
    assert (event.data["by_name"], event.data["why"], event.data["reason"]) == (actor, WHY, "forced")
    assert (record.actor_name, record.reason, record.action, record.verified) == (
        actor,
        WHY,
        "reservation.force_released",
        False,
    )
    for taken in (event.data, record.subject):
        assert (taken["patterns"], taken["mode"], taken["fence"]) == (["src/**"], "exclusive", granted.fence)
        assert (taken["held_by"], taken["rule"]) == ("anna", "operator")
    assert (letter.id, letter.sender) == (reply.message_id, actor)
    assert WHY in letter.body


@pytest.mark.parametrize("restarts", [False, True])
def test_force_release_and_its_record_survive_a_restart(bench: Bench, restarts: bool) -> None:
    """After a restart the reservation is gone and the record is there."""
    granted = bench.reserve("anna", "a")
    bench.run(force(granted.id))

    bench.restart() if restarts else bench.crash()

    assert bench.state.leases.get(granted.id) is None
    assert [each.subject["reservation_id"] for each in audit(bench)] == [granted.id]


def test_force_release_needs_an_operator(bench: Bench) -> None:
    """With a key alone it is refused, as releasing another's reservation is for everyone (S04); nothing is stored."""
    granted = bench.reserve("anna", "a")
    head = bench.state.head

    for caller in (REMOTE, claiming("ben", is_local=False)):
        with raises(ForceReleaseRefused) as refused:
            bench.run(force(granted.id, agent_id="ben"), caller)
        assert "if_silent_seconds" in refused.value.message
    with raises(NotYours):
        bench.run(ReleaseReservation(reservation_id=granted.id), claiming("ben"))

    assert bench.state.head == head
    assert audit(bench) == []


@pytest.mark.parametrize("caller", [claiming("ben", is_local=False), claiming("ben")])
@pytest.mark.parametrize(("silent_s", "is_refused"), [(119, True), (120, True), (121, False)])
def test_force_release_by_silence_is_exact(bench: Bench, caller: Caller, silent_s: int, is_refused: bool) -> None:
    """Longer than that, not as long as that; a condition that is stated binds an operator as well."""
    granted = bench.reserve("anna", "a")
    bench.wait(silent_s)
    bench.heartbeat("ben")

    [outcome] = bench.batch((force(granted.id, if_silent_seconds=120), caller))

    assert isinstance(outcome, ForceReleaseRefused) == is_refused
    if not is_refused:
        assert (audit(bench)[0].subject["rule"], audit(bench)[0].subject["silent_s"]) == ("silence", 121)


def test_force_release_waits_for_a_heartbeat(bench: Bench) -> None:
    """One sign of life is enough to keep it; the refusal tells when to try again."""
    granted = bench.reserve("anna", "a")
    bench.wait(100)
    bench.heartbeat("anna")
    bench.wait(20)

    with raises(ForceReleaseRefused) as refused:
        bench.run(force(granted.id, if_silent_seconds=60), claiming("ben"))

    assert refused.value.details == {"silent_s": 20}
    assert refused.value.retry_after_s == 41


def test_force_release_does_not_count_the_time_the_service_was_down(bench: Bench) -> None:
    """Nobody could be heard while no process was there, so silence begins anew with it; a crash of the actor is none."""
    granted = bench.reserve("anna", "a")
    taking = (force(granted.id, if_silent_seconds=60), claiming("ben"))
    bench.wait(200)
    bench.restart()

    [at_once] = bench.batch(taking)
    bench.wait(61)
    bench.crash()
    [later] = bench.batch(taking)

    assert isinstance(at_once, ForceReleaseRefused)
    assert later.released == [granted.id]


def test_force_release_by_silence_needs_a_registered_holder(bench: Bench) -> None:
    """Who never registered cannot be heard, so its silence says nothing (decision 0007); an operator may take it."""
    granted = bench.reserve("a-name", "a")
    bench.wait(200)

    with raises(ForceReleaseRefused) as refused:
        bench.run(force(granted.id, if_silent_seconds=60), claiming("ben"))

    assert "never registered" in refused.value.message
    bench.run(force(granted.id))
    assert bench.inbox("a-name").messages[0].sender == "operator"


def test_force_release_says_who(bench: Bench) -> None:
    """A caller with a key has to name itself, and nobody takes what is its own; a token marks the record as verified."""
    granted = bench.reserve("anna", "a")
    carl = bench.register("carl")
    bench.wait(61)

    with raises(InvalidRequest):
        bench.run(force(granted.id, if_silent_seconds=60), REMOTE)
    with raises(InvalidRequest):
        bench.run(force(granted.id), claiming("anna"))
    bench.run(force(granted.id, if_silent_seconds=60), proving(carl))

    [record] = audit(bench)
    assert (record.actor, record.verified) == (carl.agent_id, True)
    assert bench.inbox("anna").messages[-1].sender_verified


def test_force_release_twice_in_one_batch_takes_once(bench: Bench) -> None:
    """The second of two that arrive together is told that it has ended."""
    granted = bench.reserve("anna", "a")

    _, second = bench.batch((force(granted.id), LOCAL), (force(granted.id), LOCAL))

    assert isinstance(second, ReservationEnded)
    assert len(audit(bench)) == 1


def test_audit_comes_in_pages(bench: Bench) -> None:
    """The oldest first; the cursor leads on, and at the end it stays."""
    taken = [bench.run(force(bench.reserve("anna", f"a{number}").id)).cursor for number in range(3)]

    page = bench.ask(ListAudit(limit=2))
    rest = bench.ask(ListAudit(since_cursor=page.cursor))

    assert [each.cursor for each in (*page.records, *rest.records)] == taken
    assert bench.ask(ListAudit(since_cursor=rest.cursor)).cursor == rest.cursor
