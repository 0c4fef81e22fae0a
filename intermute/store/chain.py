"""The hash chain over the event log: each event's hash is of its row and of the hash before it.

So the last hash, which the project's row keeps and `/health` and a backup's manifest show, stands for the whole log: a row
that was changed, lost or put in breaks the chain, and a log that was cut short or rolled back has another last hash.

    hash = blake2b(hash before ‖ row), 32 bytes, person "intermute event1"
    row  = cursor, created_at_us (8 bytes each, signed, big-endian), then type, audience, data: each its length in bytes
           (4 bytes, big-endian) and its UTF-8 as it is stored; an audience of NULL is the length 0xFFFFFFFF alone

The chain begins with 32 zero bytes, at the first event after `project.chain_from`: the first of a new project, or the first
that was written after the migration that brought the chain. Events before that have no hash and are not covered. In a
log that was trimmed it begins after the last event that is gone, with that one's hash; what is left before it is not covered.
Source: guarantees.md G18, docs/decisions/0013-event-chain.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from struct import Struct
from typing import Any, Final

import apsw

from intermute.store import projects
from intermute.store.faults import FaultKind, StoreFault
from intermute.store.projects import ProjectRow
from intermute.store.statements import Statement

DIGEST_BYTES: Final = 32
GENESIS: Final = bytes(DIGEST_BYTES)
CHAIN_SCHEMA: Final = 10
"""The migration that brought the chain."""

TAIL_EVENTS: Final = 10_000  # events checked when a file is opened after an unclean stop; some 0.05 s (measured).

_PERSON: Final = b"intermute event1"
_NUMBERS: Final = Struct(">qq")
_LENGTH: Final = Struct(">I")
_NULL: Final = b"\xff\xff\xff\xff"

_BEFORE: Final = "SELECT cursor, hash FROM events WHERE cursor <= :cursor ORDER BY cursor DESC LIMIT 1"
_ALL: Final = """
SELECT cursor, type, created_at_us, audience, data, hash FROM events WHERE cursor > :cursor ORDER BY cursor
"""
_BEGIN_AFTER: Final = """
UPDATE project SET chain_seed = (SELECT hash FROM events WHERE cursor = :cursor), chain_from = :cursor
WHERE id = 1 AND chain_from < :cursor
"""
_TAIL_BEGINS: Final = "SELECT cursor FROM events ORDER BY cursor DESC LIMIT 1 OFFSET :count"


@dataclass(frozen=True, slots=True)
class ChainEnd:
    """The last cursor given out and the hash of the last event: what a log is compared by from outside."""

    cursor: int
    digest: bytes


class ChainBroken(StoreFault):
    """The log is not what was written: a row was changed, lost or put in."""

    def __init__(self, cursor: int | None) -> None:
        where = "at its end" if cursor is None else f"at event {cursor}"
        super().__init__(FaultKind.CORRUPT, f"the event log's hash chain is broken {where}")
        self.cursor = cursor


def link(before: bytes, values: Mapping[str, Any]) -> bytes:  # Any: the columns of an event, as they are stored.
    """Return the hash of an event's row that follows `before`."""
    audience = values["audience"]
    return blake2b(
        b"".join((
            before,
            _NUMBERS.pack(values["cursor"], values["created_at_us"]),
            _text(values["type"]),
            _NULL if audience is None else _text(audience),
            _text(values["data"]),
        )),
        digest_size=DIGEST_BYTES,
        person=_PERSON,
    ).digest()  # fmt: skip


def _text(text: str) -> bytes:
    encoded = text.encode()
    return _LENGTH.pack(len(encoded)) + encoded


class Follower:
    """Walks along the log and compares each row with its hash."""

    def __init__(self, row: ProjectRow, digest: bytes) -> None:
        self._chain_from, self._seed = row.chain_from, row.chain_seed
        self.digest = digest

    def check(self, row: Sequence[Any]) -> None:  # Any: cursor, type, created_at_us, audience, data, hash.
        """Take in the next row. Raises: ChainBroken."""
        cursor, kind, created_at_us, audience, data, found = row
        if cursor <= self._chain_from:
            return
        values = {
            "cursor": cursor,
            "type": kind,
            "created_at_us": created_at_us,
            "audience": audience,
            "data": data,
        }
        self.digest = link(self.digest, values)
        if found != self.digest:
            raise ChainBroken(cursor)

    def check_after(self, before: tuple[int | None, bytes | None], row: Sequence[Any]) -> None:  # Any: as `check`.
        """Take in a row by itself, which follows the one with this cursor and hash. Raises: ChainBroken."""
        cursor, digest = before
        self.digest = self._seed if cursor is None or cursor <= self._chain_from else digest or GENESIS
        self.check(row)


def follow_from(connection: apsw.Connection, cursor: int) -> Follower | None:
    """Return who checks the rows after the cursor, or None in a file without a project. Raises: ChainBroken."""
    row = projects.read(connection)
    if row is None:
        return None
    found = connection.execute(_BEFORE, {"cursor": cursor}).fetchone() if cursor > row.chain_from else None
    if found is None or found[0] <= row.chain_from:
        return Follower(row, row.chain_seed)
    if not isinstance(found[1], bytes):
        raise ChainBroken(found[0])
    return Follower(row, found[1])


def begin_after(cursor: int) -> Statement:
    """Have the chain begin after this event, if it begins before; to be run before the event is deleted."""
    return Statement(_BEGIN_AFTER, {"cursor": cursor})


def check_chain(connection: apsw.Connection, *, tail: int | None = None) -> ChainEnd:
    """Check the whole log, or its last `tail` events, against the hash in the project's row, and return that.

    Raises: ChainBroken. Cost: about 4 µs an event, nearly all of it SQLite's.
    """
    row = projects.read(connection)
    if row is None:
        return ChainEnd(0, GENESIS)
    begins = connection.execute(_TAIL_BEGINS, {"count": tail}).fetchone() if tail is not None else None
    follower = follow_from(connection, row.chain_from if begins is None else max(begins[0], row.chain_from))
    assert follower is not None
    _check_all(connection.execute(_ALL, {"cursor": row.chain_from if begins is None else begins[0]}), follower)
    if follower.digest != row.chain_head:
        raise ChainBroken(None)
    return ChainEnd(row.head, row.chain_head)


def _check_all(rows: Iterable[Sequence[Any]], follower: Follower) -> None:  # Any: as `Follower.check`.
    for row in rows:
        follower.check(row)
