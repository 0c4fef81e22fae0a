"""Operation intents: they warn and never stand in the way, and they end with what they ride on (claims.md 1, 6 and 7)."""

from typing import Any

import pytest
from handler_bench import LOCAL, Bench, bench_of, proving
from pytest import raises

from intermute.core import limits
from intermute.core.api.checks import CheckTargets
from intermute.core.api.claims import TargetWish
from intermute.core.api.handing_over import ForceRelease, TransferReservation
from intermute.core.api.intents import ChangeIntent, DeclareIntent, GetIntent, IntentView, ListIntents
from intermute.core.api.reservations import ReleaseReservation, ReservationView, Reserve
from intermute.core.errors import (
    DomainError,
    IntentLimit,
    IntentOver,
    InvalidRequest,
    NotYours,
    ReservationConflict,
    ReservationEnded,
    UnknownIntent,
)
from intermute.core.intents import IntentState

FUNCTION = "src/billing.py::compute_total"


@pytest.fixture
def bench() -> Bench:
    """A project with anna and ben."""
    return bench_of("anna", "ben")


def declare(bench: Bench, agent: str, address: str = FUNCTION, op: str = "modify", **more: Any) -> IntentView:
    """Declare what an agent is going to do to one address."""
    reply = bench.run(DeclareIntent(agent_id=agent, addresses=[address], operation=op, **more))
    assert isinstance(reply, IntentView)
    return reply


def reserve(bench: Bench, agent: str, address: str = FUNCTION, **more: Any) -> ReservationView:
    """Reserve one address."""
    reply = bench.run(Reserve(agent_id=agent, addresses=[address], **more))
    assert isinstance(reply, ReservationView)
    return reply


def kinds(bench: Bench, after: int) -> list[str]:
    """Return the types of the events after a cursor."""
    return [event.type for event in bench.events(after)]


def test_intent_warns_who_comes_later_and_stops_nobody(bench: Bench) -> None:
    """Anna declares a rename; ben gets his reservation, a warning with anna's name, and both hear of it."""
    rename = declare(bench, "anna", op="rename", to="src/billing.py::compute_invoice_total", detail="clearer name")

    granted = reserve(bench, "ben")

    assert granted.warnings is not None
    [warning] = granted.warnings
    assert (warning.intent_id, warning.held_by, warning.verdict) == (rename.intent_id, "anna", "warn")
    assert (warning.kind, warning.confidence, warning.standing) == ("operation_conflict", 0.8, "declared")
    assert warning.reason == "clearer name"
    overlap = bench.events(0)[-1]
    canonical = bench.state.agents.canonical
    assert (overlap.type, overlap.audience) == ("intent.overlap", frozenset({canonical("anna"), canonical("ben")}))


def test_intent_hears_what_it_meets_when_it_is_declared(bench: Bench) -> None:
    """Ben holds the function and carl has declared to delete it: anna's declaration finds both, and is stored."""
    held = reserve(bench, "ben")
    other = declare(bench, "carl", op="delete")

    mine = declare(bench, "anna", op="rename")

    assert mine.findings is not None
    found = {finding.reservation_id: finding.verdict for finding in mine.findings}
    assert found == {held.id: "warn", other.intent_id: "warn"}
    assert (mine.state, mine.is_active) == ("declared", True)


def test_intents_of_one_agent_never_meet(bench: Bench) -> None:
    """What anna declares twice is her own business."""
    declare(bench, "anna", op="rename")

    assert declare(bench, "anna", op="delete").findings is None
    assert reserve(bench, "anna").warnings is None


def test_check_shows_declared_work(bench: Bench) -> None:
    """A check tells of it as of a warning, and stays clear."""
    declare(bench, "anna", op="delete")

    checked = bench.ask(CheckTargets(agent_id="ben", addresses=[FUNCTION]))

    assert (checked.conflict, [each.held_by for each in checked.warnings]) == (False, ["anna"])


def test_check_does_not_show_what_is_not_stored_yet(bench: Bench) -> None:
    """As with reservations: a declaration counts once it is stored, and its end does so, too."""
    _, transactions = bench.decide((DeclareIntent(agent_id="anna", addresses=[FUNCTION], operation="delete"), LOCAL))
    check = CheckTargets(agent_id="ben", addresses=[FUNCTION])
    assert bench.ask(check).warnings is None
    bench.store(transactions)
    assert len(bench.ask(check).warnings) == 1

    intent_id = next(iter(bench.state.intents)).id
    _, transactions = bench.decide((ChangeIntent(intent_id=intent_id, state=IntentState.DONE, agent_id="anna"), LOCAL))
    assert len(bench.ask(check).warnings) == 1
    bench.store(transactions)
    assert bench.ask(check).warnings is None


@pytest.mark.parametrize("ends", ["release", "expiry", "silence", "transfer", "force"])
def test_s17_intent_ends_with_its_reservation(bench: Bench, ends: str) -> None:
    """However the reservation ends or leaves its holder, what rides on it is abandoned in the same step."""
    held = reserve(bench, "anna", ttl_seconds=60 if ends == "expiry" else 3600)
    intent = bench.run(DeclareIntent(agent_id="anna", reservation_id=held.id, operation="rename"))
    before = bench.state.head

    if ends == "release":
        bench.run(ReleaseReservation(reservation_id=held.id, agent_id="anna"))
    elif ends == "transfer":
        bench.run(TransferReservation(reservation_id=held.id, agent_id="anna", to="ben"))
    elif ends == "force":
        bench.run(ForceRelease(reservation_id=held.id, reason="stuck"))
    else:
        bench.wait(60.0 if ends == "expiry" else limits.AGENT_SILENCE_S)
        bench.tick()

    told = bench.ask(GetIntent(intent_id=intent.intent_id))
    how = {"release": "released", "expiry": "expired", "silence": "owner_stale", "transfer": "transferred"}
    assert (told.state, told.is_active, told.ended) == ("abandoned", False, f"reservation_{how.get(ends, 'forced')}")
    assert "intent.abandoned" in kinds(bench, before)
    assert bench.state.intents.is_empty


def test_intent_on_a_reservation_is_about_its_targets(bench: Bench) -> None:
    """Without targets of its own it takes those of the reservation, and lasts as long."""
    held = reserve(bench, "anna", branch="feature/x", ttl_seconds=7200)

    intent = bench.run(DeclareIntent(agent_id="anna", reservation_id=held.id, operation="delete"))

    assert [(each.target, each.op) for each in intent.targets] == [(FUNCTION, "delete")]
    assert (intent.expires_at, intent.branch) == (held.expires_at, "feature/x")


def test_intent_that_ensures_its_reservation_holds_it(bench: Bench) -> None:
    """A declaration with a lock: granted in one step, riding on it; the mode is what the work needs."""
    intent = declare(bench, "anna", op="read", ensure_reservation=True)

    assert intent.reservation is not None
    assert (intent.reservation_id, intent.reservation.mode) == (intent.reservation.id, "shared")
    with raises(ReservationConflict):
        reserve(bench, "ben")


def test_intent_that_cannot_ensure_its_reservation_declares_nothing(bench: Bench) -> None:
    """All or nothing: somebody else holds the function."""
    reserve(bench, "ben")
    before = bench.state.head

    with raises(ReservationConflict):
        declare(bench, "anna", ensure_reservation=True)

    assert (bench.state.head, len(bench.state.intents)) == (before, 0)


def test_intent_rides_on_a_reservation_that_covers_it_already(bench: Bench) -> None:
    """Whoever holds the directory needs no second reservation; a reader that is going to write does."""
    directory = bench.run(Reserve(agent_id="anna", paths=["src"]))
    assert declare(bench, "anna", op="rename", ensure_reservation=True).reservation_id == directory.id

    reading = bench.run(Reserve(agent_id="ben", paths=["docs"], mode="shared"))
    written = declare(bench, "ben", "docs/a.md::Title", ensure_reservation=True)
    assert written.reservation_id not in (None, reading.id)


def test_intent_goes_forward_only(bench: Bench) -> None:
    """Declared, started, done; the same again is no change, and what is over stays over."""
    intent = declare(bench, "anna")
    start = ChangeIntent(intent_id=intent.intent_id, agent_id="anna", state=IntentState.STARTED)
    assert bench.run(start).state == "started"
    head = bench.state.head
    assert bench.run(start).state == "started"
    assert bench.state.head == head

    done = bench.run(
        ChangeIntent(intent_id=intent.intent_id, agent_id="anna", state=IntentState.DONE, commit="467234bf")
    )

    assert (done.state, done.commit, done.is_active) == ("done", "467234bf", False)
    assert bench.run(ChangeIntent(intent_id=intent.intent_id, agent_id="anna", state=IntentState.DONE)).state == "done"
    with raises(IntentOver):
        bench.run(start)
    assert kinds(bench, 0)[-3:] == ["intent.declared", "intent.started", "intent.done"]


def test_intent_cannot_go_back_to_declared(bench: Bench) -> None:
    """A started one has been started."""
    intent = declare(bench, "anna")
    bench.run(ChangeIntent(intent_id=intent.intent_id, agent_id="anna", state=IntentState.STARTED))

    with raises(IntentOver):
        bench.run(ChangeIntent(intent_id=intent.intent_id, agent_id="anna", state=IntentState.DECLARED))


def test_intent_of_another_agent_is_left_alone(bench: Bench) -> None:
    """Ben can neither change anna's intent nor declare on her reservation."""
    intent, held = declare(bench, "anna"), reserve(bench, "anna", "docs/a.md::Title")

    with raises(NotYours):
        bench.run(ChangeIntent(intent_id=intent.intent_id, agent_id="ben", state=IntentState.DONE))
    with raises(NotYours):
        bench.run(DeclareIntent(agent_id="ben", reservation_id=held.id))


def test_intent_without_a_reservation_lapses_after_an_hour(bench: Bench) -> None:
    """By itself it lasts for an hour, or for as long as it says, if its agent is heard meanwhile."""
    by_itself, short = declare(bench, "anna"), declare(bench, "anna", "docs/a.md::Title", ttl_seconds=60)

    bench.wait(60.0)
    bench.tick()
    assert bench.ask(GetIntent(intent_id=short.intent_id)).ended == "expired"
    for _ in range(59):
        bench.heartbeat("anna")
        bench.wait(60.0)
        bench.tick()

    assert bench.ask(GetIntent(intent_id=by_itself.intent_id)).ended == "expired"


def test_intents_of_a_silent_agent_end(bench: Bench) -> None:
    """Five silent minutes, as with reservations."""
    intent = declare(bench, "anna")

    bench.wait(limits.AGENT_SILENCE_S)
    bench.tick()

    assert bench.ask(GetIntent(intent_id=intent.intent_id)).ended == "owner_stale"


def test_intents_survive_a_restart(bench: Bench) -> None:
    """What is stored comes back and warns as before."""
    held = reserve(bench, "anna")
    bench.run(DeclareIntent(agent_id="anna", reservation_id=held.id, operation="delete", detail="obsolete"))
    declare(bench, "anna", "docs/a.md::Title", op="rename", to="docs/a.md::Heading")
    before = [(each.claim, each.state, each.detail) for each in bench.state.intents]

    bench.restart()

    assert [(each.claim, each.state, each.detail) for each in bench.state.intents] == before
    assert reserve(bench, "ben", "docs/a.md::Heading").warnings is not None


def test_declared_under_a_name_belongs_to_who_registers_under_it(bench: Bench) -> None:
    """As with mail and reservations: carl had declared before he registered."""
    intent = declare(bench, "carl")

    carl = bench.register("carl")

    change = ChangeIntent(intent_id=intent.intent_id, state=IntentState.DONE)
    assert bench.run(change, proving(carl)).agent_id == carl.agent_id


def test_intents_are_listed_newest_first_in_pages(bench: Bench) -> None:
    """Active ones of the project; of an agent all it ever had."""
    first, second = declare(bench, "anna"), declare(bench, "anna", "b.py::f")
    bench.run(ChangeIntent(intent_id=first.intent_id, agent_id="anna", state=IntentState.ABANDONED))

    assert [each.intent_id for each in bench.ask(ListIntents()).intents] == [second.intent_id]
    page = bench.ask(ListIntents(agent="anna", limit=1))
    assert ([each.intent_id for each in page.intents], page.next_cursor is None) == ([second.intent_id], False)
    rest = bench.ask(ListIntents(agent="anna", limit=1, cursor=page.next_cursor))
    assert ([each.intent_id for each in rest.intents], rest.next_cursor) == ([first.intent_id], None)


def test_intents_of_one_agent_are_bounded(bench: Bench) -> None:
    """A hundred and no more; the refusal says what to do."""
    for number in range(limits.INTENTS_PER_AGENT_MAX):
        declare(bench, "anna", f"f{number}.py::f")

    with raises(IntentLimit) as refused:
        declare(bench, "anna", "one.py::more")

    assert "done or abandoned" in refused.value.message


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        (DeclareIntent(agent_id="anna"), InvalidRequest),
        (DeclareIntent(addresses=[FUNCTION]), InvalidRequest),
        (DeclareIntent(agent_id="anna", addresses=[FUNCTION], operation="polish"), InvalidRequest),
        (DeclareIntent(agent_id="anna", addresses=[FUNCTION], operation="modify", to="b.py::g"), InvalidRequest),
        (
            DeclareIntent(agent_id="anna", addresses=["a.py::f", "b.py::g"], operation="move", to="c.py::h"),
            InvalidRequest,
        ),
        (DeclareIntent(agent_id="anna", addresses=[FUNCTION], ttl_seconds=0), InvalidRequest),
        (DeclareIntent(agent_id="anna", targets=[TargetWish(path="a", pattern="b")]), InvalidRequest),
        (DeclareIntent(agent_id="anna", reservation_id="nothing"), DomainError),
        (ChangeIntent(intent_id="nothing", state=IntentState.DONE), UnknownIntent),
    ],
)
def test_intent_that_cannot_be_meant_is_refused(bench: Bench, command: object, refusal: type[DomainError]) -> None:
    """With a code, and nothing is stored."""
    before = bench.state.head

    with raises(refusal):
        bench.run(command)

    assert (bench.state.head, len(bench.state.intents)) == (before, 0)


def test_intent_on_an_ended_reservation_is_refused(bench: Bench) -> None:
    """The refusal tells how that one ended."""
    held = reserve(bench, "anna")
    bench.run(ReleaseReservation(reservation_id=held.id, agent_id="anna"))

    with raises(ReservationEnded):
        bench.run(DeclareIntent(agent_id="anna", reservation_id=held.id))
