"""Tenant walls: with a key of one project nothing of another is read, changed or inferred (guarantees.md G23, T20, T22).

Each call is made twice, in two services that differ in nothing but that the other tenant exists in one of them. Whatever
the caller could learn of it would make the two answers different; so they have to be the same to the last byte.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from foreign_calls import Case, cases, unclassified
from known_keys import ACME_KEY, UMBRA_KEY, with_key
from tenants import ACME, UMBRA, Ids, Reply, Town, furnish, tables, town
from trio.testing import MockClock

from intermute.core.ids import project_tag
from intermute.core.operations import OPERATIONS, Operation

Answers = dict[str, Reply]
_FAULTY = frozenset({"malformed_json", "invalid_request", "unknown_route", "method_not_allowed", "internal_error"})
_REFUSED_OWN = frozenset(
    {
        "stale_version", "no_claimable_task", "unknown_agent", "not_yours", "force_release_refused", "unknown_contact",
        "not_held",
    }
)  # fmt: skip
"""Where a call with one's own things is refused: earlier calls have handed them on, taken or changed them."""
_LISTS = (
    "agents",
    "reservations",
    "reservations/waiting",
    "intents",
    "events",
    "audit",
    "projects/umbra/symbols",
    "tasks",
)


@dataclass
class Lived:
    """What came of all calls in one service."""

    own: Ids = field(default_factory=dict)
    theirs: Ids = field(default_factory=dict)
    answers: Answers = field(default_factory=dict)
    touched: list[str] = field(default_factory=list)
    """Operations after whose calls the other tenant's file, or what it sees, was another."""
    asked: dict[str, Case] = field(default_factory=dict)
    heard: list[list[str]] = field(default_factory=list)
    """What the other tenant's sockets heard meanwhile: of its project, and of its agent."""
    letter_heard: list[list[str]] = field(default_factory=list)
    """What they had heard after a letter within the other project, and then the caller's sockets for the same."""


async def _state_of_umbra(place: Town) -> Any:  # Any: all rows of its file, and what its key sees.
    return tables(place, UMBRA), [await place.call(with_key(UMBRA_KEY), "GET", f"/api/{each}") for each in _LISTS]


async def _live(root: Path, theirs: Ids | None, headers: dict[str, str]) -> Lived:
    """Furnish the caller's project, and the other one unless its things are given: then it does not exist here."""
    lived = Lived()
    async with town(root) as place:
        lived.own = await furnish(place, ACME, 1001)
        lived.theirs = theirs or await furnish(place, UMBRA, 2002)
        place.rng.seed(3003)
        theirs_hear = [
            await place.listen(UMBRA, path) for path in ("/ws/events", f"/ws/agents/{lived.theirs['agent']}")
        ]
        before = await _state_of_umbra(place) if theirs is None else None
        for operation, calls in groupby(cases(lived.own, lived.theirs), key=lambda case: case.operation):
            for case in calls:
                lived.asked[case.name] = case
                lived.answers[case.name] = await place.call(
                    {**headers, **case.headers}, case.method, case.path, case.query, case.body
                )
            after = await _state_of_umbra(place) if theirs is None else None
            if after != before:
                lived.touched.append(operation.name)
            before = after
        lived.heard = [list(each) for each in theirs_hear]
        mine_hear = [await place.listen(ACME, path) for path in ("/ws/events", f"/ws/agents/{lived.theirs['agent']}")]
        if theirs is None:
            letter = {"project": UMBRA, "from": "x", "to": [lived.theirs["agent"]], "body": "for umbra alone"}
            await place.act(UMBRA, "POST", "/api/messages", letter)
            await trio.testing.wait_all_tasks_blocked()
        lived.letter_heard = [list(each) for each in (*theirs_hear, *mine_hear)]
    return lived


def _lived(root: Path, theirs: Ids | None, headers: dict[str, str]) -> Lived:
    # Time stands still, so both services give the same times; nothing here waits for any.
    return trio.run(partial(_live, root, theirs, headers), clock=MockClock())


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """All calls with the key of acme, where umbra exists."""
    return _lived(tmp_path_factory.mktemp("beside"), None, with_key(ACME_KEY))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, beside: Lived) -> Lived:
    """The same calls, where nothing of umbra exists."""
    return _lived(tmp_path_factory.mktemp("alone"), beside.theirs, with_key(ACME_KEY))


def test_every_field_of_every_operation_is_tried() -> None:
    """A field that nobody has classified could name another tenant's thing: put it into NAMES or PLAIN of foreign_calls.py."""
    assert unclassified() == []


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: f"{each.method} {each.path}")
def test_answers_do_not_tell_that_another_tenant_exists(beside: Lived, alone: Lived, operation: Operation) -> None:
    """What B has is answered in the very bytes in which something that nobody has is answered."""
    mine = [name for name, case in beside.asked.items() if case.operation is operation]

    assert mine
    assert {name: beside.answers[name] for name in mine} == {name: alone.answers[name] for name in mine}


def test_nothing_of_another_tenant_changes(beside: Lived) -> None:
    """No call changes a row of B, nor anything that B sees."""
    assert beside.touched == []


def test_sockets_of_another_tenant_stay_silent(beside: Lived) -> None:
    """B's sockets hear nothing of A's calls, and A's sockets hear nothing of B; what happens in B, B hears (control)."""
    assert beside.heard == [[], []]
    assert [len(each) for each in beside.letter_heard] == [1, 1, 0, 0]


def test_nothing_of_another_tenant_is_in_an_answer(beside: Lived) -> None:
    """What B wrote is in no answer, and an id carries the tag of the project it was minted in, never another's."""
    written = f"{beside.theirs['secret']} 1".encode()
    told = [name for name, reply in beside.answers.items() if written in reply.body]

    assert told == []
    assert beside.own["reservation"].endswith(project_tag(beside.own["project"]))


def test_foreign_project_is_refused_wherever_it_is_named(beside: Lived) -> None:
    """In path, query or body: 403, before anything else is looked at."""
    named = {name: reply for name, reply in beside.answers.items() if "foreign project" in name}

    assert len(named) > len(OPERATIONS)
    assert {
        name: reply for name, reply in named.items() if (reply.status, reply.code) != (403, "foreign_project")
    } == {}


def test_calls_are_well_formed(beside: Lived) -> None:
    """Control: no call fails for its form, which would hide what it was to find; and calls with one's own things succeed."""
    failed = {name: reply for name, reply in beside.answers.items() if reply.status >= 300}
    own = {
        case.operation.name: failed[name].code
        for name, case in beside.asked.items()
        if case.about == "own" and name in failed
    }

    assert {name: reply.body for name, reply in failed.items() if reply.code in _FAULTY} == {}
    assert set(own.values()) <= _REFUSED_OWN, own


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lived, Lived]]:
    """Control: the calls of a local caller, for whom there are no walls, with and without umbra."""
    beside = _lived(tmp_path_factory.mktemp("local"), None, {})
    yield beside, _lived(tmp_path_factory.mktemp("local-alone"), beside.theirs, {})


def test_comparison_sees_what_a_caller_without_walls_sees(local: tuple[Lived, Lived]) -> None:
    """Control: to a local caller an id tells its project; the comparison finds that in every operation that has one."""
    beside, alone = local
    differing = {
        case.operation.name for name, case in beside.asked.items() if beside.answers[name] != alone.answers[name]
    }
    routed = {each.name for each in OPERATIONS if each.routed_by}
    routed.remove("StaleAcks")  # Nothing gets stale while time stands still.

    assert routed <= differing | set(beside.touched)
    assert len(beside.touched) > 10, "the look at the other tenant's state has to see what is done to it"
