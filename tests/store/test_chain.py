"""The hash chain over the event log: whatever is changed, lost or put in is found where it is read (guarantees.md G18)."""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Final

import apsw
import pytest
from pytest import raises

from intermute.core.events import Event, EventType
from intermute.core.ids import Micros, ProjectName
from intermute.store import events, projects
from intermute.store.chain import CHAIN_SCHEMA, GENESIS, ChainBroken, ChainEnd, check_chain, link
from intermute.store.connection import close, open_writer
from intermute.store.diagnosis import examine
from intermute.store.faults import FaultKind
from intermute.store.hop import inline_hop
from intermute.store.migrate import known_migrations, migrate
from intermute.store.statements import Statement
from intermute.store.writer import Writer

NOW_US = Micros(1_784_714_400_000_000)
DEMO = ProjectName("demo")


def told(cursor: int) -> Statement:
    """Return the statement that stores an event."""
    audience = frozenset({"anna"}) if cursor % 2 else None
    return events.append(Event(cursor, EventType.MESSAGE_CREATED, NOW_US, audience, {"subject": f"größer {cursor}"}))


def stored(connection: apsw.Connection, cursors: Sequence[int], digest: bytes = GENESIS) -> bytes:
    """Store events as a batch does, and return the last hash."""
    for cursor in cursors:
        digest = events.execute(connection, told(cursor), digest)
    connection.execute(*projects.advance(cursors[-1], 1, NOW_US, digest))
    return digest


@pytest.fixture
def log() -> Iterator[apsw.Connection]:
    """A project's database in memory, with the events 1 to 20."""
    made = apsw.Connection(":memory:")
    migrate(made, NOW_US)
    projects.create(made, DEMO, NOW_US)
    stored(made, range(1, 21))
    yield made
    made.close()


def test_encoding_is_the_documented_one() -> None:
    """Anybody can compute the hash from the text in `chain.py`: it never changes without a migration."""
    values = {"cursor": 7, "created_at_us": 2, "type": "a.b", "audience": None, "data": '{"x":"ö"}'}

    digest = link(b"\x01" * 32, values)

    row = (
        (7).to_bytes(8, "big")
        + (2).to_bytes(8, "big")
        + b"\0\0\0\x03a.b\xff\xff\xff\xff\0\0\0\x0a"
        + '{"x":"ö"}'.encode()
    )
    assert digest == blake2b(b"\x01" * 32 + row, digest_size=32, person=b"intermute event1").digest()


async def test_batch_stores_the_chain_without_its_culprits(tmp_path: Path) -> None:
    """Each event has its hash, the project's row the last one; a command that is left out leaves no gap."""
    path = tmp_path / "x.db"
    writer = Writer(path, inline_hop())
    await writer.open(DEMO, NOW_US)
    assert writer.chain_end == ChainEnd(0, GENESIS)
    nonsense = Statement("INSERT INTO nowhere VALUES (1)", {})

    await writer.commit([[told(1)], [told(2), nonsense]], heads=[0, 1, 2], batch=1, wall_us=NOW_US)
    await writer.commit([[told(2)], [told(3)]], heads=[1, 2, 3], batch=2, wall_us=NOW_US)

    end = await writer.read(check_chain)
    assert (end, end.cursor) == (writer.chain_end, 3)
    assert [event.cursor for event in await writer.read(lambda connection: events.after(connection, 0, 9))] == [1, 2, 3]
    await writer.close()
    reopened = Writer(path, inline_hop())
    await reopened.open(DEMO, NOW_US)
    assert reopened.chain_end == end
    await reopened.close()
    assert examine(path).head_hash == end.digest.hex()


DAMAGE: Final = {
    "other text": "UPDATE events SET data = replace(data, 'größer', 'kleiner') WHERE cursor = 7",
    "other reader": "UPDATE events SET audience = NULL WHERE cursor = 7",
    "other type": "UPDATE events SET type = 'message.read' WHERE cursor = 7",
    "other time": "UPDATE events SET created_at_us = created_at_us + 1 WHERE cursor = 7",
    "other hash": "UPDATE events SET hash = zeroblob(32) WHERE cursor = 7",
    "no hash": "UPDATE events SET hash = NULL WHERE cursor = 7",
    "lost row": "DELETE FROM events WHERE cursor = 7",
    "swapped rows": "UPDATE events SET data = (SELECT data FROM events WHERE cursor = 9) WHERE cursor = 7",
    "row put in": "UPDATE events SET cursor = 70 WHERE cursor = 7",
}


@pytest.mark.parametrize("name", DAMAGE)
def test_changed_log_is_found_where_it_is_read(log: apsw.Connection, name: str) -> None:
    """No page of the log that holds a changed row, or lacks one, is ever returned; pages before it are.

    Control: SQLite itself notices nothing.
    """
    log.execute(DAMAGE[name])

    with raises(ChainBroken) as broken:
        events.after(log, 0, 20)

    assert broken.value.kind is FaultKind.CORRUPT
    assert broken.value.cursor in (7, 8)
    assert [event.cursor for event in events.after(log, 0, 6)] == list(range(1, 7))
    assert [event.cursor for event in events.after(log, 10, 6)] == list(range(11, 17))
    with raises(ChainBroken):
        check_chain(log)
    assert log.execute("PRAGMA integrity_check").get == "ok"


@pytest.mark.parametrize("lost", [1, 5, 20])
def test_log_that_was_cut_short_is_found(log: apsw.Connection, lost: int) -> None:
    """A lost tail leaves every remaining row right; only the hash in the project's row tells of it."""
    log.execute("DELETE FROM events WHERE cursor > :last", {"last": 20 - lost})

    with raises(ChainBroken, match="at its end"):
        check_chain(log)
    with raises(ChainBroken, match="at its end"):
        check_chain(log, tail=10)


@pytest.mark.parametrize(("tail", "is_found"), [(12, False), (13, False), (14, True), (100, True)])
def test_tail_that_is_checked_is_bounded(log: apsw.Connection, tail: int, *, is_found: bool) -> None:
    """A check of the tail looks at so many events and no more: row 7 is the fourteenth from the end."""
    log.execute(DAMAGE["other text"])

    if is_found:
        with raises(ChainBroken):
            check_chain(log, tail=tail)
    else:
        assert check_chain(log, tail=tail).cursor == 20


def test_chain_begins_after_the_migration(tmp_path: Path) -> None:
    """Events of before the migration stay readable and have no hash; the first one after it begins the chain."""
    path = tmp_path / "x.db"
    connection = open_writer(path)
    migrate(connection, NOW_US, known_migrations()[: CHAIN_SCHEMA - 1])
    connection.execute(f"INSERT INTO project VALUES (1, 'demo', 1, 2, 1, {NOW_US}, {NOW_US})")
    old = "INSERT INTO events (cursor, type, created_at_us, data) VALUES (:cursor, 'message.created', 5, '{}')"
    for cursor in (1, 2):
        connection.execute(old, {"cursor": cursor})
    assert (examine(path).head_hash, examine(path).integrity) == (None, "ok")

    migrate(connection, NOW_US)
    assert check_chain(connection) == ChainEnd(2, GENESIS)
    digest = stored(connection, [3, 4])

    assert check_chain(connection) == check_chain(connection, tail=1) == check_chain(connection, tail=3)
    assert check_chain(connection).digest == digest
    assert [event.cursor for event in events.after(connection, 0, 9)] == [1, 2, 3, 4]
    assert [event.cursor for event in events.after(connection, 2, 9)] == [3, 4]
    connection.execute("DELETE FROM events WHERE cursor = 3")
    with raises(ChainBroken, match="event 4"):
        check_chain(connection)
    close(connection)
