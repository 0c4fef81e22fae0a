"""The hash chain of a log that has been trimmed: it goes on from what is gone, and nothing forged is archived (G11, G18)."""

from collections.abc import Iterator, Sequence

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import raises

from intermute.core.events import Event, EventType
from intermute.core.ids import Micros, ProjectName
from intermute.store import events, projects, retention
from intermute.store.chain import GENESIS, ChainBroken, check_chain
from intermute.store.migrate import migrate

NOW_US = Micros(1_784_714_400_000_000)
COUNT = 30
KINDS = (EventType.MESSAGE_CREATED, EventType.MESSAGE_READ, EventType.AGENT_REGISTERED)


def kind_of(cursor: int) -> EventType:
    """Return what sort of event is at a cursor."""
    return KINDS[cursor % len(KINDS)]


def a_log() -> apsw.Connection:
    """Return a project's database in memory, with the events 1 to COUNT."""
    made = apsw.Connection(":memory:")
    migrate(made, NOW_US)
    projects.create(made, ProjectName("demo"), NOW_US)
    digest = GENESIS
    for cursor in range(1, COUNT + 1):
        digest = events.execute(
            made, events.append(Event(cursor, kind_of(cursor), NOW_US, None, {"n": cursor})), digest
        )
    made.execute(*projects.advance(COUNT, 1, NOW_US, digest))
    return made


@pytest.fixture
def log() -> Iterator[apsw.Connection]:
    """Yield such a log."""
    made = a_log()
    yield made
    made.close()


def trim(log: apsw.Connection, cursors: Sequence[int]) -> None:
    """Delete these events as the actor does."""
    last = {kind_of(cursor).value: cursor for cursor in sorted(cursors)}
    for statement in retention.trim(cursors, last, dict.fromkeys(last, 1)):
        log.execute(*statement)


def chunk(log: apsw.Connection, kind: EventType, upto: int = COUNT) -> list[int]:
    """Return the cursors of the events of a kind that would go."""
    return [event.cursor for event in retention.chunk(log, [kind.value], 0, upto, 100)]


@given(st.lists(st.sets(st.integers(1, COUNT), min_size=1), min_size=1, max_size=4))
def test_trimmed_log_is_a_chain_from_what_is_gone(slices: list[set[int]]) -> None:
    """Whatever goes, in whichever order: the rest follows the last event that is gone, and the head's hash stays."""
    log = a_log()
    whole = check_chain(log)

    for each in slices:
        trim(log, sorted(each))

    assert check_chain(log) == check_chain(log, tail=3) == whole
    row = projects.read(log)
    assert row is not None
    assert row.chain_from == max(max(each) for each in slices)
    left = set(range(1, COUNT + 1)).difference(*slices)
    assert [event.cursor for event in events.after(log, row.chain_from, 100)] == sorted(
        cursor for cursor in left if cursor > row.chain_from
    )
    log.close()


def test_event_stored_after_a_trim_of_everything_goes_on_with_the_chain(log: apsw.Connection) -> None:
    """An empty log has a head's hash still."""
    trim(log, list(range(1, COUNT + 1)))
    digest = check_chain(log).digest

    digest = events.execute(log, events.append(Event(COUNT + 1, KINDS[0], NOW_US, None, {})), digest)
    log.execute(*projects.advance(COUNT + 1, 2, NOW_US, digest))

    assert check_chain(log).digest == digest != GENESIS


@pytest.mark.parametrize("cursor", [13, 20, COUNT])
def test_forged_event_after_a_trim_is_found(log: apsw.Connection, cursor: int) -> None:
    """A trim does not blind the check of what is left after it."""
    trim(log, [3, 12])

    log.execute("UPDATE events SET data = '{}' WHERE cursor = ?", (cursor,))

    with raises(ChainBroken) as found:
        check_chain(log)
    assert found.value.cursor == cursor


def test_deletion_without_the_chain_is_found(log: apsw.Connection) -> None:
    """The control: what `begin_after` is for. Rows that are only deleted look like the damage that they are."""
    log.execute("DELETE FROM events WHERE cursor IN (3, 12)")

    with raises(ChainBroken):
        check_chain(log)


@pytest.mark.parametrize("trimmed", [[], [3], [1, 2, 3, 4, 5, 6]])
@pytest.mark.parametrize("change", ["data = '{}'", "created_at_us = 1", "hash = NULL", "hash = zeroblob(32)"])
def test_forged_event_is_neither_archived_nor_trimmed(log: apsw.Connection, trimmed: list[int], change: str) -> None:
    """What goes is read a last time; after that nobody could tell."""
    if trimmed:
        trim(log, trimmed)
    victim = 15
    log.execute(f"UPDATE events SET {change} WHERE cursor = ?", (victim,))

    with raises(ChainBroken) as found:
        chunk(log, kind_of(victim))
    assert found.value.cursor == victim
    assert chunk(log, kind_of(victim), upto=victim - 1) == [
        each for each in range(1, victim) if kind_of(each) is kind_of(victim) and each not in trimmed
    ]


def test_lost_neighbour_of_what_goes_is_found(log: apsw.Connection) -> None:
    """An event follows the one before it, of whatever kind that was."""
    log.execute("DELETE FROM events WHERE cursor = 14")

    with raises(ChainBroken) as found:
        chunk(log, kind_of(15))
    assert found.value.cursor == 15
