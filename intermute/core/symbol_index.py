"""The symbol index of a project: how uploaded names become addresses, and how much of it there may be.

Addresses are compared as text, so they are brought to one form here and nowhere else. Source: claims.md 6.
"""

from collections.abc import Iterable, Iterator

import msgspec

from intermute.core import limits
from intermute.core.api.symbols import CallDefinition, FileSymbols
from intermute.core.blast_radius import Call, call_confidence
from intermute.core.errors import BadPattern, InvalidRequest
from intermute.core.ids import AgentId, Micros
from intermute.core.pattern_syntax import BadPattern as DialectError
from intermute.core.pattern_syntax import parse, path_names
from intermute.core.symbols import IMPORT, SYMBOL_MARK, BadSymbol, parse_symbol


class SymbolIndex(msgspec.Struct, frozen=True, kw_only=True):
    """What a project has of it, without the symbols themselves."""

    commit: str
    files: int
    symbols: int
    calls: int
    uploaded_at_us: Micros
    by: AgentId
    changed: int
    """The cursor of the last upload."""


class IndexedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file in its stored form: paths and symbols normalised, calls that say nothing dropped."""

    path: str
    sha256: str | None
    language: str | None
    symbols: list[tuple[str, str | None, int | None, int | None]]
    """Name, kind, first and last line."""
    calls: list[tuple[str, str, float]]
    """The addresses of caller and callee, and how sure it is."""


def indexed(files: Iterable[FileSymbols]) -> list[IndexedFile]:
    """Return the files of an upload in their stored form; of two with one path the later counts.

    Raises: BadPattern, for a path or a symbol that is none; InvalidRequest, for too much at once.
    """
    found: dict[str, IndexedFile] = {}
    symbols = calls = 0
    for file in files:
        symbols += len(file.symbols)
        calls += len(file.calls)
        if symbols > limits.UPLOAD_SYMBOLS_MAX or calls > limits.UPLOAD_CALLS_MAX:
            bounds = f"{limits.UPLOAD_SYMBOLS_MAX} symbols and {limits.UPLOAD_CALLS_MAX} calls"
            raise InvalidRequest([("files", f"at most {bounds} in one upload; send several of the same commit")])
        path = _path(file.path)
        found[path] = IndexedFile(
            path=path,
            sha256=file.sha256,
            language=file.language,
            symbols=[(_symbol(each.name), each.kind, each.start, each.end) for each in file.symbols],
            calls=list(_calls(path, file.calls)),
        )
    return list(found.values())


def _calls(path: str, calls: Iterable[CallDefinition]) -> Iterator[tuple[str, str, float]]:
    for call in calls:
        confidence = _confidence(call)
        if confidence > 0:
            yield _address(path, call.caller), _address(path, call.callee), confidence


def _confidence(call: CallDefinition) -> float:
    if call.confidence is not None:
        return call.confidence
    if call.resolved or call.on_self or call.same_named is not None:
        return call_confidence(
            is_resolved=bool(call.resolved), is_on_self=bool(call.on_self), same_named=call.same_named or 0
        )
    return 1.0


def _address(path: str, text: str) -> str:
    """Return the address that a name in a file, or a whole address, stands for."""
    where, mark, symbol = text.partition(SYMBOL_MARK)
    if not mark or where == IMPORT:  # `import::x` is a symbol of this very file.
        return path + SYMBOL_MARK + _symbol(text)
    return _path(where) + SYMBOL_MARK + _symbol(symbol)


def _path(text: str) -> str:
    try:
        parse(text, literal=True)
    except DialectError as refused:
        raise BadPattern(refused.pattern, refused.reason) from None
    return "/".join(path_names(text, fold_case=False))


def _symbol(text: str) -> str:
    try:
        return parse_symbol(text)
    except BadSymbol as refused:
        raise BadPattern(text, str(refused)) from None


def graph_calls(files: Iterable[list[tuple[str, str, float]]], *, fold_case: bool) -> Iterator[Call]:
    """Yield the calls of stored files, with their paths folded where the project's are."""
    for calls in files:
        for caller, callee, confidence in calls:
            if fold_case:
                yield Call(_folded(caller), _folded(callee), confidence)
            else:
                yield Call(caller, callee, confidence)


def _folded(address: str) -> str:
    path, mark, symbol = address.partition(SYMBOL_MARK)
    return "/".join(path_names(path, fold_case=True)) + mark + symbol
