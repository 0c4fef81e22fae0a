"""Looking at a data directory: what each project's file is, and whether it is whole. Used at start and by `doctor`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import apsw

from intermute.store import projects
from intermute.store.chain import CHAIN_SCHEMA, TAIL_EVENTS, check_chain
from intermute.store.connection import close, open_reader, snapshot
from intermute.store.faults import FaultKind, StoreFault, as_faults, told
from intermute.store.migrate import known_migrations, schema_version
from intermute.store.seal import check_seal

QUICK_CHECK_BYTES_MAX: Final = 256 * 1024 * 1024  # bytes of a file that is checked before it is opened.


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found in one file."""

    file: str
    project: str | None
    schema: int
    migrations_pending: int
    integrity: str
    epoch: int
    head: int
    head_hash: str | None
    """The hash of the last event, once the chain was checked; None in a file of before the chain."""
    is_damaged: bool
    is_unread: bool
    """Whether a full disk kept it from being looked at, which takes 32 KiB for the index of the log."""
    size_bytes: int

    @property
    def is_well(self) -> bool:
        """Tell whether the file is whole and of a schema that this version knows."""
        return self.integrity == "ok" and self.migrations_pending >= 0 and self.project is not None


def check_unsealed(connection: apsw.Connection, path: Path) -> None:
    """Check a file that nothing vouches for, as after a kill or a power cut: its structure, and the end of the chain.

    Bounded: larger files are left to the diagnosis that runs while the service serves. Raises: StoreFault.
    """
    with as_faults(connection), snapshot(connection):
        if path.stat().st_size <= QUICK_CHECK_BYTES_MAX:
            found = str(connection.execute("PRAGMA quick_check(1)").get)
            if found != "ok":
                raise StoreFault(FaultKind.CORRUPT, f"quick_check: {found}")
        if schema_version(connection) >= CHAIN_SCHEMA:
            check_chain(connection, tail=TAIL_EVENTS)


def examine(path: Path, *, is_stopped: bool = False, tail: int | None = None) -> Finding:
    """Return what one file holds; a fault becomes part of the finding. Blocks: run it in a thread.

    One snapshot of the file is checked: its structure, and every event against the hash chain, or the last `tail` of them.
    With `is_stopped`, where nobody can open the file meanwhile, its seal as well.
    """
    schema, integrity, row, head_hash, is_damaged, is_unread = 0, "ok", None, None, False, False
    try:
        if is_stopped:
            check_seal(path)
        connection = open_reader(path, leaves_log=True)
    except StoreFault as fault:
        integrity, is_damaged, is_unread = _reading(fault)
    else:
        try:
            with as_faults(connection), snapshot(connection):
                schema = schema_version(connection)
                found = [str(line[0]) for line in connection.execute("PRAGMA quick_check(5)")]
                integrity = "; ".join(found)
                is_damaged = integrity != "ok"
                row = projects.read_outline(connection) if schema else None
                if schema >= CHAIN_SCHEMA and integrity == "ok":
                    head_hash = check_chain(connection, tail=tail).digest.hex()
        except StoreFault as fault:
            integrity, is_damaged, is_unread = _reading(fault)
        except apsw.SQLError as error:  # Its tables are not ours.
            integrity = str(error)
        finally:
            close(connection)
    return Finding(
        file=path.name,
        project=row.name if row else None,
        schema=schema,
        migrations_pending=len(known_migrations()) - schema,
        integrity=integrity,
        epoch=row.epoch if row else 0,
        head=row.head if row else 0,
        head_hash=head_hash,
        is_damaged=is_damaged,
        is_unread=is_unread,
        size_bytes=path.stat().st_size if path.exists() else 0,  # It may have gone into quarantine meanwhile.
    )


def _reading(fault: StoreFault) -> tuple[str, bool, bool]:
    return told(fault), fault.kind is FaultKind.CORRUPT, fault.kind is FaultKind.FULL
