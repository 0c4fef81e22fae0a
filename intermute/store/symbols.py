"""The symbol index in SQLite: one row a file, and one about the whole."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import apsw
import msgspec

from intermute.core.blast_radius import CallGraph
from intermute.core.ids import AgentId, Micros
from intermute.core.symbol_index import IndexedFile, SymbolIndex, graph_calls
from intermute.store.statements import SqlValue, Statement, to_json

_NOTE: Final = """
INSERT INTO symbol_index (id, commit_id, uploaded_at_us, uploaded_by, changed)
VALUES (1, :commit_id, :uploaded_at_us, :uploaded_by, :changed)
ON CONFLICT (id) DO UPDATE SET commit_id = excluded.commit_id, uploaded_at_us = excluded.uploaded_at_us,
    uploaded_by = excluded.uploaded_by, changed = excluded.changed
"""
# One statement for all files of an upload: a batch is bounded in statements.
_SAVE: Final = """
INSERT OR REPLACE INTO symbol_files (path, sha256, language, symbols, calls, symbol_count, call_count, graph_bytes)
SELECT json_extract(value, '$.path'), json_extract(value, '$.sha256'), json_extract(value, '$.language'),
       json_extract(value, '$.symbols'), json_extract(value, '$.calls'),
       json_array_length(value, '$.symbols'), json_array_length(value, '$.calls'),
       json_extract(value, '$.graph_bytes')
FROM json_each(:files)
"""
_DROP_FILES: Final = "DELETE FROM symbol_files"
_DROP_NOTE: Final = "DELETE FROM symbol_index"
_READ: Final = "SELECT commit_id, uploaded_at_us, uploaded_by, changed FROM symbol_index"
_TOTALS: Final = """
SELECT count(*), coalesce(sum(symbol_count), 0), coalesce(sum(call_count), 0), coalesce(sum(graph_bytes), 0)
FROM symbol_files
"""
_COUNTS: Final = "SELECT symbol_count, call_count, graph_bytes FROM symbol_files WHERE path = :path"
_CALLS: Final = "SELECT calls FROM symbol_files WHERE call_count > 0 ORDER BY path"


class Counts(NamedTuple):
    """What one file contributes."""

    symbols: int
    calls: int
    graph_bytes: int


def save(files: Sequence[IndexedFile], index: SymbolIndex) -> list[Statement]:
    """Write these files over what is known of them, and what the index is of."""
    note: dict[str, SqlValue] = {
        "commit_id": index.commit,
        "uploaded_at_us": index.uploaded_at_us,
        "uploaded_by": index.by,
        "changed": index.changed,
    }
    return [Statement(_SAVE, {"files": to_json(files)}), Statement(_NOTE, note)]


def drop() -> list[Statement]:
    """Forget all of it."""
    return [Statement(_DROP_FILES, {}), Statement(_DROP_NOTE, {})]


def read(connection: apsw.Connection) -> SymbolIndex | None:
    """Return what the index is of, or None where there is none."""
    row = connection.execute(_READ).fetchone()
    if row is None:
        return None
    files, symbols, calls, graph_bytes = connection.execute(_TOTALS).fetchone() or (0, 0, 0, 0)
    return SymbolIndex(
        commit=row[0],
        files=files,
        symbols=symbols,
        calls=calls,
        graph_bytes=graph_bytes,
        uploaded_at_us=Micros(row[1]),
        by=AgentId(row[2]),
        changed=row[3],
    )


def counts_of(connection: apsw.Connection, path: str) -> Counts | None:
    """Return what a file contributes so far, or None for one that is not in the index."""
    row = connection.execute(_COUNTS, {"path": path}).fetchone()
    return Counts(*row) if row else None


def load_graph(connection: apsw.Connection, *, fold_case: bool) -> tuple[CallGraph, str] | None:
    """Return the call graph and the commit it is of, or None without one. Up to 0.5 s: run it in a thread."""
    row = connection.execute(_READ).fetchone()
    if row is None:
        return None
    rows = connection.execute(_CALLS)
    files = (msgspec.json.decode(text, type=list[tuple[str, str, float]]) for (text,) in rows)
    return CallGraph(graph_calls(files, fold_case=fold_case), fold_case=fold_case), row[0]
