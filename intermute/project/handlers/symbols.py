"""Uploading, reading and forgetting the symbol index. Source: claims.md 6 and 7, issue 3 point 8."""

import apsw

from intermute.core import limits
from intermute.core.agents import act_as
from intermute.core.api.symbols import DropSymbols, GetSymbols, SymbolIndexView, UploadSymbols
from intermute.core.errors import InvalidRequest, SymbolIndexFull
from intermute.core.events import EventType
from intermute.core.ids import OPERATOR, AgentId, ProjectName
from intermute.core.pattern_syntax import path_names
from intermute.core.symbol_index import IndexedFile, SymbolIndex, indexed
from intermute.core.times import rfc3339
from intermute.project.state import ProjectState
from intermute.project.transaction import Desk, Facts, Transaction
from intermute.store import symbols as rows
from intermute.store.symbols import Counts

_BOUNDS = {
    "files": limits.INDEX_FILES_MAX,
    "symbols": limits.INDEX_SYMBOLS_MAX,
    "calls": limits.INDEX_CALLS_MAX,
    "graph_bytes": limits.INDEX_GRAPH_BYTES_MAX,
}


def facts_for_upload(connection: apsw.Connection, command: UploadSymbols, facts: Facts) -> None:
    """Fetch what the uploaded files contribute so far."""
    for file in command.files:
        path = "/".join(path_names(file.path, fold_case=False))
        if path not in facts.symbol_files:
            facts.symbol_files[path] = rows.counts_of(connection, path)


def upload_symbols(command: UploadSymbols, tx: Transaction) -> SymbolIndexView:
    """Take in files of a commit: they add to those of the same commit, and replace what another commit had."""
    actor = _speaker(command, tx)
    files = indexed(command.files)
    known = tx.state.symbols
    is_same = known is not None and known.commit == command.commit
    index = _grown(known if is_same else None, files, command.commit, actor, tx)
    for what, limit in _BOUNDS.items():
        if (would_be := getattr(index, what)) > limit:
            raise SymbolIndexFull(what, limit, would_be)
    if known is not None and not is_same:
        tx.write(*rows.drop())
        tx.facts.forget_symbols()
    tx.write(*rows.save(files, index))
    for file in files:
        tx.facts.symbol_files[file.path] = Counts(len(file.symbols), len(file.calls), file.graph_bytes)
    tx.state.index_symbols(index)
    _tell(index, len(files), actor, tx)
    return _view(index, tx.project)


def _grown(
    known: SymbolIndex | None, files: list[IndexedFile], commit: str, actor: AgentId, tx: Transaction
) -> SymbolIndex:
    """Return what the index will be with these files in place of what is known of them."""
    replaced = [tx.facts.symbol_files.get(file.path) for file in files] if known is not None else []
    old = [counts for counts in replaced if counts is not None]
    return SymbolIndex(
        commit=commit,
        files=(known.files if known else 0) + len(files) - len(old),
        symbols=(known.symbols if known else 0)
        + sum(len(file.symbols) for file in files)
        - sum(counts.symbols for counts in old),
        calls=(known.calls if known else 0)
        + sum(len(file.calls) for file in files)
        - sum(counts.calls for counts in old),
        graph_bytes=(known.graph_bytes if known else 0)
        + sum(file.graph_bytes for file in files)
        - sum(counts.graph_bytes for counts in old),
        uploaded_at_us=tx.now.wall_us,
        by=actor,
        changed=tx.next_cursor(),
    )


def drop_symbols(command: DropSymbols, tx: Transaction) -> SymbolIndexView:
    """Forget the index; where there is none nothing changes."""
    actor = _speaker(command, tx)
    if tx.state.symbols is not None:
        tx.write(*rows.drop())
        tx.facts.forget_symbols()
        tx.state.index_symbols(None)
        _tell(None, 0, actor, tx)
    return _view(None, tx.project)


def get_symbols(_query: GetSymbols, desk: Desk) -> SymbolIndexView:
    """Tell what has been uploaded, as it is stored."""
    return _view(desk.state.committed_symbols, desk.project)


def _speaker(command: UploadSymbols | DropSymbols, tx: Transaction) -> AgentId:
    given = command.agent_id or command.agent
    speaker = act_as(tx.identity(), tx.state.agents.canonical(given) if given else None)
    if speaker is None and not tx.caller.is_local:
        raise InvalidRequest([("agent_id", "say who uploads: your agent id or name, here or in X-Agent-ID")])
    tx.heard(tx.state.agents.find(speaker) if speaker else None)
    return speaker or OPERATOR


def _tell(index: SymbolIndex | None, files: int, actor: AgentId, tx: Transaction) -> None:
    state: ProjectState = tx.state
    tx.emit(
        EventType.PROJECT_SYMBOLS,
        {
            "agent_id": actor,
            "held_by": state.agents.name_of(actor),
            "commit": index.commit if index else None,
            "uploaded_files": files,
            "files": index.files if index else 0,
            "symbols": index.symbols if index else 0,
            "calls": index.calls if index else 0,
        },
    )


def _view(index: SymbolIndex | None, project: ProjectName) -> SymbolIndexView:
    return SymbolIndexView(
        project=project,
        state="ok" if index else "unavailable",
        commit=index.commit if index else None,
        files=index.files if index else 0,
        symbols=index.symbols if index else 0,
        calls=index.calls if index else 0,
        uploaded_at=rfc3339(index.uploaded_at_us) if index else None,
        by=index.by if index else None,
        seq=index.changed if index else 0,
    )
