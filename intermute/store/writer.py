"""The writer of one project: one transaction a batch, one thread hop a transaction.

A batch is a list of groups, one for each command. Each group runs in a savepoint of its own; a group that the schema
refuses is a bug of ours, and it takes itself and everything decided after it out of the batch, while those before it are
committed. A fault anywhere leaves the outcome unknown until `look` has asked a fresh connection (design.md 3.2,
guarantees.md G3). Nothing here retries on a connection whose flush failed.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import apsw

from intermute.core import limits
from intermute.core.ids import AgentId, Micros, ProjectName
from intermute.store import events, projects
from intermute.store.chain import GENESIS, ChainEnd
from intermute.store.connection import abandon, close, open_writer, snapshot
from intermute.store.diagnosis import check_unsealed
from intermute.store.faults import FaultKind, StoreFault, as_faults
from intermute.store.hop import Hop
from intermute.store.migrate import migrate
from intermute.store.projects import ProjectRow
from intermute.store.seal import break_seal, check_seal, seal
from intermute.store.statements import Statement
from intermute.store.unread import UnreadWatch

Group = Sequence[Statement]
Result = TypeVar("Result")

WAL_PAGES_MAX: Final = 1000
"""Pages in the log after which the writer moves them into the file; SQLite's own default, but at a moment we choose."""

WAL_PAGES_FORCED: Final = 3000
"""Pages after which the writer waits for readers to let go of the log, so that it begins anew: with the batch that comes next
it stays within the 16 MiB of guarantees.md G15. Readers that follow one another without a gap hold up every lesser attempt."""
WAL_PAGES_BETWEEN: Final = 250
"""Pages between two such attempts: one reader that stays must not make every batch wait. A guess, revisit."""
CHECKPOINT_WAIT_MS: Final = 200
"""Milliseconds that a checkpoint waits for readers to be done; their reads take less. A guess, revisit."""

_BUGS: Final = (
    apsw.ConstraintError, apsw.SQLError, apsw.BindingsError, apsw.MismatchError, apsw.TooBigError,  # what the schema refuses
    TypeError, ValueError, OverflowError, KeyError,  # what cannot be bound: half a character, a number over 64 bits
)  # fmt: skip


class WrongFile(Exception):
    """The file belongs to another project than its name says."""


@dataclass(frozen=True, slots=True)
class Committed:
    """How much of a batch is stored: the first `count` groups, and what was wrong with the one after them, if any."""

    count: int
    culprit: Exception | None = None
    unread: Mapping[AgentId, int] = field(default_factory=dict)
    """By how much it has changed what agents have not read, those that nobody has registered among them."""


class Writer:
    """The one connection that writes this project's file.

    Resources: whoever calls `open` calls `close`. Cancellation: each method is one thread hop, which a cancellation can
    prevent but not interrupt; its result is returned even into a cancelled scope (hazards.md 1).
    """

    def __init__(self, path: Path, hop: Hop) -> None:
        self._path = path
        self._connection: apsw.Connection | None = None
        self._unread: UnreadWatch | None = None
        self.attempted = Committed(0)
        self.chain_end = ChainEnd(0, GENESIS)
        """The log's end as it is stored; replaced as a whole, so that any thread may read it."""
        self.wal_pages = 0
        """Pages in the log as of the last commit; more than a few thousand mean that some reader does not let go of them."""
        self._forced_at_pages = WAL_PAGES_FORCED
        self._hop = hop

    async def open(self, project: ProjectName, now_us: Micros) -> tuple[ProjectRow, list[int]]:
        """Open or create the file, bring its schema up to date, and return its row and the migrations this took.

        Raises: StoreFault, MigrationRefused, WrongFile.
        """
        return await self._hop(lambda: self._open(project, now_us))

    async def commit(self, groups: Sequence[Group], *, heads: Sequence[int], batch: int, wall_us: Micros) -> Committed:
        """Store the groups in one transaction and flush it. Raises: StoreFault, after which the outcome is unknown.

        Args: heads, the log's last cursor after no group, after the first one, and so on: one more than groups.
        """
        return await self._hop(lambda: self._commit(groups, heads, batch, wall_us))

    async def read(self, work: Callable[[apsw.Connection], Result]) -> Result:
        """Return what `work` reads between two commits: what a decision needs must not wait for the readers' turn.

        Raises: StoreFault, and what `work` raises.
        """
        return await self._hop(lambda: self._read(work))

    async def checkpoint(self) -> bool:
        """Move the whole log into the file and cut it off; tell whether it could be, or a reader is in the way.

        Raises: StoreFault; then nothing is lost, and nothing is known of the room that was to be freed.
        """
        return await self._hop(self._checkpoint)

    async def look(self, batch: int, *, seals: bool) -> ProjectRow:
        """Reopen the file after a fault, and return the row that says which batch was committed last.

        If it is the batch that failed, `attempted` tells how much of it is stored. If not, it must never be: a flush that
        failed may leave the whole commit at the end of the log, unseen by everybody until a crash makes SQLite read the
        log anew. With `seals` something is committed over it. Without, the caller knows that the log was not finished.

        Raises: StoreFault, where the file cannot be opened: the outcome stays unknown.
        """
        return await self._hop(lambda: self._look(batch, seals=seals))

    async def close(self, *, is_damaged: bool = False) -> None:
        """Move the log into the file, unless that is damaged, and close it. Raises: StoreFault; it is closed all the same."""
        await self._hop(lambda: self._close(is_damaged=is_damaged))

    def interrupt(self) -> None:
        """End a statement that runs too long; a flush that hangs in the kernel cannot be ended (hazards.md 7)."""
        if self._connection is not None:
            self._connection.interrupt()

    def _open(self, project: ProjectName, now_us: Micros) -> tuple[ProjectRow, list[int]]:
        assert self._connection is None
        connection, row, applied = open_project(self._path, project, now_us)
        try:
            with as_faults(connection):
                self._own_checkpoints(connection)
                self._unread = UnreadWatch(connection)
        except BaseException as error:
            abandon(connection, leaves_log=isinstance(error, StoreFault) and error.kind is FaultKind.CORRUPT)
            raise
        self._connection = connection
        self.chain_end = ChainEnd(row.head, row.chain_head)
        return row, applied

    def _own_checkpoints(self, connection: apsw.Connection) -> None:
        # An automatic checkpoint inside COMMIT blurs whether an error came before or after the commit.
        connection.wal_autocheckpoint(0)
        connection.set_wal_hook(self._note_wal)

    def _note_wal(self, _connection: apsw.Connection, _schema: str, pages: int) -> int:
        self.wal_pages = pages
        return apsw.SQLITE_OK

    def _commit(self, groups: Sequence[Group], heads: Sequence[int], batch: int, wall_us: Micros) -> Committed:
        connection = self._connection
        unread = self._unread
        if connection is None or unread is None:
            raise StoreFault(FaultKind.IO, "the file is not open")
        assert not connection.in_transaction
        assert len(heads) == len(groups) + 1
        self.attempted = Committed(0)
        with as_faults(connection):
            connection.execute("BEGIN IMMEDIATE")
            self.attempted, digest = _run_groups(connection, groups, self.chain_end.digest, unread)
            head = heads[self.attempted.count]
            connection.execute(*projects.advance(head, batch, wall_us, digest))
            connection.execute("COMMIT")
            self.chain_end = ChainEnd(head, digest)
            # The batch is stored; moving the log on is housekeeping, whose failure must not be taken for the batch's.
            self._move_log(connection)
        return self.attempted

    def _move_log(self, connection: apsw.Connection) -> None:
        if self.wal_pages <= WAL_PAGES_MAX:
            self._forced_at_pages = WAL_PAGES_FORCED
        elif self.wal_pages <= self._forced_at_pages:
            with suppress(apsw.BusyError):  # A reader is on an old page; the next batch tries again.
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        elif not _checkpoint(connection, apsw.SQLITE_CHECKPOINT_RESTART):
            self._forced_at_pages = self.wal_pages + WAL_PAGES_BETWEEN

    def _read(self, work: Callable[[apsw.Connection], Result]) -> Result:
        if self._connection is None:
            raise StoreFault(FaultKind.IO, "the file is not open")
        with as_faults(self._connection), snapshot(self._connection) as connection:
            return work(connection)

    def _checkpoint(self) -> bool:
        connection = self._connection
        if connection is None:
            raise StoreFault(FaultKind.IO, "the file is not open")
        with as_faults(connection):
            is_done = _checkpoint(connection, apsw.SQLITE_CHECKPOINT_TRUNCATE)
        if is_done:
            self.wal_pages = 0
        return is_done

    def _look(self, batch: int, *, seals: bool) -> ProjectRow:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            abandon(connection)  # Closing may fail for the same reason as the flush did; the handle is gone either way.
        connection = open_writer(self._path)
        try:
            with as_faults(connection):
                row = projects.read(connection)
                self._own_checkpoints(connection)
                self._unread = UnreadWatch(connection)
                assert row is not None
                if seals and row.batch != batch:
                    connection.execute(projects.SEAL)
        except BaseException:
            abandon(connection)
            raise
        self._connection = connection
        self.chain_end = ChainEnd(row.head, row.chain_head)
        return row

    def _close(self, *, is_damaged: bool) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            close(connection, checkpoint=not is_damaged, leaves_log=is_damaged)
            if not is_damaged:
                seal(self._path)


def open_project(path: Path, project: ProjectName, now_us: Micros) -> tuple[apsw.Connection, ProjectRow, list[int]]:
    """Open or create a project's file for writing, check it, and bring its schema up to date; the caller closes it.

    Its seal is broken by this. Returns the connection, the project's row and the migrations that were run.
    Raises: StoreFault, MigrationRefused, WrongFile.
    """
    is_whole = check_seal(path)
    break_seal(path)
    connection = open_writer(path)
    try:
        if not is_whole:
            check_unsealed(connection, path)
        applied = migrate(connection, now_us)
        with as_faults(connection):
            row = projects.read(connection)
            if row is None:
                projects.create(connection, project, now_us)
                row = projects.read(connection)
            assert row is not None
            if row.name != project:
                raise WrongFile(f"{path.name} holds project {row.name!r}, not {project!r}: move it out of the way")
    except BaseException as error:
        abandon(connection, leaves_log=isinstance(error, StoreFault) and error.kind is FaultKind.CORRUPT)
        raise
    return connection, row, applied


def _checkpoint(connection: apsw.Connection, mode: int) -> bool:
    """Move the log into the file, waiting for readers for a moment; tell whether all of it was."""
    connection.set_busy_timeout(CHECKPOINT_WAIT_MS)
    try:
        connection.wal_checkpoint(mode=mode)
    except apsw.BusyError:
        return False
    finally:
        connection.set_busy_timeout(limits.BUSY_TIMEOUT_MS)
    return True


def _run_groups(
    connection: apsw.Connection, groups: Sequence[Group], digest: bytes, watch: UnreadWatch
) -> tuple[Committed, bytes]:
    """Run the groups; return how many are stored, and the hash of the last event among them."""
    unread: Counter[AgentId] = Counter()
    watch.take()
    for index, group in enumerate(groups):
        stored = digest
        connection.execute("SAVEPOINT command")
        try:
            for statement in group:
                digest = events.execute(connection, statement, digest)
        except _BUGS as bug:
            connection.execute("ROLLBACK TO command")
            connection.execute("RELEASE command")
            return Committed(index, bug, unread), stored
        connection.execute("RELEASE command")
        unread.update(watch.take())
    return Committed(len(groups), unread=unread), digest
