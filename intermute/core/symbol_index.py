"""The symbol index of a project: how uploaded names become addresses, what a call weighs, and how much there may be.

Addresses are compared as text, so they are brought to one form here and nowhere else. What is wrong with an upload is
named all at once, each with its place. Source: claims.md 2, 6 and 7.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from intermute.core import limits
from intermute.core.api.symbols import CallDefinition, FileSymbols, SymbolDefinition
from intermute.core.blast_radius import Call, call_confidence
from intermute.core.errors import InvalidRequest
from intermute.core.ids import AgentId, Micros
from intermute.core.pattern_syntax import BadPattern, literal_names, path_names
from intermute.core.symbols import IMPORT, SYMBOL_MARK, BadSymbol, parse_symbol

PROBLEMS_MAX: Final = 100  # places named in one refusal; whoever has more has one fault in the extractor.

_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}")
_CALL_BYTES: Final = 200  # bytes of memory; measured on CallGraph, like the next three, and rounded up.
_ADDRESS_BYTES: Final = 480
_SEGMENT_BYTES: Final = 64
_PATH_BYTES: Final = 150


class SymbolIndex(msgspec.Struct, frozen=True, kw_only=True):
    """What a project has of it, without the symbols themselves."""

    commit: str
    files: int
    symbols: int
    calls: int
    graph_bytes: int
    """About what its calls take in memory, estimated high."""
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
    """The addresses of caller and callee, each pair once, and how sure it is."""
    graph_bytes: int


def indexed(files: Sequence[FileSymbols]) -> list[IndexedFile]:
    """Return the files of an upload in their stored form.

    Cost: some 5 us for each symbol and call. Raises: InvalidRequest, for all that is wrong, or for too much at once.
    """
    symbols = sum(len(file.symbols or ()) for file in files)
    calls = sum(len(file.calls or ()) for file in files)
    if symbols > limits.UPLOAD_SYMBOLS_MAX or calls > limits.UPLOAD_CALLS_MAX:
        bounds = f"{limits.UPLOAD_SYMBOLS_MAX} symbols and {limits.UPLOAD_CALLS_MAX} calls"
        raise InvalidRequest([("files", f"at most {bounds} in one upload; send several of the same commit")])
    reader = _Reader()
    found: dict[str, IndexedFile] = {}
    for number, file in enumerate(files):
        read = reader.file(file, f"files[{number}]")
        if read.path in found:
            reader.note(f"files[{number}].path", "names the same file as another one of this upload; send each once")
        found[read.path] = read
        if reader.is_full:
            break
    if reader.problems:
        raise InvalidRequest(reader.problems[:PROBLEMS_MAX])
    return list(found.values())


def graph_calls(files: Iterable[list[tuple[str, str, float]]], *, fold_case: bool) -> Iterator[Call]:
    """Yield the calls of stored files, with their paths folded where the project's are.

    One address is one object, however many calls have it: that halves what a graph takes.
    """
    known: dict[str, str] = {}

    def one(address: str) -> str:
        found = known.get(address)
        if found is None:
            found = known[address] = _folded(address) if fold_case else address
        return found

    for calls in files:
        for caller, callee, confidence in calls:
            yield Call(one(caller), one(callee), confidence)


@dataclass(slots=True)
class _Reader:
    """Reads the files of one upload, and notes what is wrong instead of stopping at it."""

    problems: list[tuple[str, str]] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        return len(self.problems) >= PROBLEMS_MAX

    def note(self, place: str, problem: str) -> None:
        self.problems.append((place, problem))

    def file(self, file: FileSymbols, place: str) -> IndexedFile:
        path = self._path(file.path, f"{place}.path")
        if file.sha256 is not None and not _SHA256.fullmatch(file.sha256):
            self.note(f"{place}.sha256", "must be 64 hexadecimal digits; leave it out if you have none")
        names: dict[str, str] = {}
        symbols: list[tuple[str, str | None, int | None, int | None]] = []
        for number, symbol in enumerate(file.symbols or ()):
            symbols.append(self._symbol(symbol, f"{place}.symbols[{number}]", names))
            if self.is_full:
                break
        calls = self._calls(file.calls or (), place, path, names)
        return IndexedFile(
            path=path,
            sha256=file.sha256.lower() if file.sha256 else None,
            language=file.language,
            symbols=symbols,
            calls=calls,
            graph_bytes=_graph_bytes(calls),
        )

    def _path(self, text: str, place: str) -> str:
        try:
            path = _file_path(text)
        except BadPattern as refused:
            self.note(place, refused.reason)
            return text
        if SYMBOL_MARK in path:
            self.note(place, f"holds {SYMBOL_MARK!r}, which ends the path in an address; leave this file out")
        return path

    def _symbol(
        self, symbol: SymbolDefinition, place: str, names: dict[str, str]
    ) -> tuple[str, str | None, int | None, int | None]:
        try:
            names[symbol.name] = parse_symbol(symbol.name)
        except BadSymbol as refused:
            self.note(f"{place}.name", str(refused))
        if symbol.end is not None and symbol.end < (symbol.start or 1):
            self.note(f"{place}.end", "must be a line that is not before `start`")
        return names.get(symbol.name, symbol.name), symbol.kind, symbol.start, symbol.end

    def _calls(
        self, calls: Sequence[CallDefinition], place: str, path: str, names: Mapping[str, str]
    ) -> list[tuple[str, str, float]]:
        found: dict[tuple[str, str], float] = {}
        for number, call in enumerate(calls):
            here = f"{place}.calls[{number}]"
            caller = self._end(call.caller, f"{here}.from", path, names)
            callee = self._end(call.callee, f"{here}.to", path, names)
            confidence = self._confidence(call, here)
            if confidence > 0:
                found[caller, callee] = max(confidence, found.get((caller, callee), 0.0))
            if self.is_full:
                break
        return [(caller, callee, confidence) for (caller, callee), confidence in found.items()]

    def _end(self, text: str, place: str, path: str, names: Mapping[str, str]) -> str:
        """Return the address that a name of the file, or else a whole address, stands for.

        A name may have the mark in it, such as `Shape::area`, so the symbols that the file lists come first.
        """
        known = names.get(text)
        if known is not None:
            return path + SYMBOL_MARK + known
        where, mark, symbol = text.partition(SYMBOL_MARK)
        try:
            if not mark or where == IMPORT:
                return path + SYMBOL_MARK + parse_symbol(text)
            return _file_path(where) + SYMBOL_MARK + parse_symbol(symbol)
        except BadPattern as refused:
            self.note(place, refused.reason)
        except BadSymbol as refused:
            self.note(place, str(refused))
        return text

    def _confidence(self, call: CallDefinition, place: str) -> float:
        has_facts = (call.resolved, call.on_self, call.same_named) != (None, None, None)
        if call.confidence is not None:
            if has_facts:
                self.note(f"{place}.confidence", "leave it out where resolved, on_self or same_named say as much")
            elif not 0 <= call.confidence <= 1:
                self.note(f"{place}.confidence", "must be from 0 to 1")
            return call.confidence
        if not has_facts:
            return 1.0
        if call.same_named is not None and call.same_named < 0:
            self.note(f"{place}.same_named", "must be the number of methods of this name")
        return call_confidence(
            is_resolved=call.resolved is True, is_on_self=call.on_self is True, same_named=call.same_named or 0
        )


def _file_path(text: str) -> str:
    """Return a file's path in its normal form, but for the case of its letters. Raises: BadPattern."""
    names = literal_names(text) if text else ()
    if not names:
        raise BadPattern(text, "the path is empty or the whole project; name the file")
    return "/".join(names)


def _folded(address: str) -> str:
    path, mark, symbol = address.partition(SYMBOL_MARK)
    return "/".join(path_names(path, fold_case=True)) + mark + symbol


def _graph_bytes(calls: Sequence[tuple[str, str, float]]) -> int:
    """Estimate what the calls of a file take in a CallGraph: high, since what two files name is counted for both."""
    addresses = {end for caller, callee, _ in calls for end in (caller, callee)}
    paths = {address.partition(SYMBOL_MARK)[0] for address in addresses}
    texts = sum(
        _ADDRESS_BYTES + _SEGMENT_BYTES * (1 + address.count("/")) + 2 * len(address) * (1 if address.isascii() else 4)
        for address in addresses
    )
    return _CALL_BYTES * len(calls) + texts + _PATH_BYTES * len(paths)
