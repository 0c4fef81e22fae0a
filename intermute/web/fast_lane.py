"""The fast lane: plain requests for operations of the table, answered without a framework. Source: design.md 4, issue 7.

Same table, same gate, same front as the Quart lane (`lane.py`), so the same answers; what has no operation here, or does
not pass the gate, is left to that lane, which refuses it.
"""

from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qsl

from intermute.core.operations import OPERATIONS, Operation
from intermute.web.answer import NO_CONTENT, Call, Peer
from intermute.web.front import Front
from intermute.web.lane import paths_of
from intermute.web.server import Answering, Lane, PlainHead, PlainReply
from intermute.web.server.listeners import Peer as SocketPeer

_PARAMETER: Final = "{"
_Address = tuple[str, int]


class FastLane:
    """Makes the lane of each connection."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._routes = Routes(OPERATIONS)

    def __call__(self, peer: SocketPeer, client: _Address | None, server: _Address | None) -> Lane:
        """Return what finds who answers the requests of one connection."""
        origin = Peer(
            host=client[0] if client else None,
            is_unix=peer.is_unix,
            server_host=server[0] if server else None,
            server_port=server[1] if server else None,
        )

        def find(head: PlainHead) -> Answering | None:
            return self._find(head, origin)

        return find

    def _find(self, head: PlainHead, peer: Peer) -> Answering | None:
        found = self._routes.find(head.method, head.path)
        if found is None:
            return None
        operation, parameters = found
        call = Call(head.method, head.path, _pairs(head.query), head.headers, peer)
        if self._front.judge(call) is not None:
            return None

        async def answer(body: bytes) -> PlainReply:
            takes = body and operation.takes_body
            whole = Call(call.method, call.path, call.query, call.headers, peer, body) if takes else call
            answered = await self._front.answer(operation, whole, parameters)
            content_type = None if answered.status == NO_CONTENT else answered.content_type
            return PlainReply(answered.status, content_type, answered.body, list(answered.headers.items()))

        return answer


class Routes:
    """Finds operations by method and path; the fixed segment goes before the one that stands for anything."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._fixed: dict[tuple[str, str], Operation] = {}
        self._tree: _Node = _Node()
        for operation in operations:
            for path in paths_of(operation):
                if _PARAMETER in path:
                    self._tree.add([operation.method, *path.split("/")[1:]], operation)
                else:
                    self._fixed[operation.method, path] = operation

    def find(self, method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
        """Return the operation and what its path names, or None. Each name is one segment here, as it is in plain paths."""
        if (fixed := self._fixed.get((method, path))) is not None:
            return fixed, {}
        segments = [method, *path.split("/")[1:]]
        parameters: list[str] = []
        operation = self._tree.find(segments, 0, parameters)
        if operation is None:
            return None
        return operation, dict(zip(_names(operation), parameters, strict=True))


class _Node:
    def __init__(self) -> None:
        self._fixed: dict[str, _Node] = {}
        self._any: _Node | None = None
        self._operation: Operation | None = None

    def add(self, segments: Sequence[str], operation: Operation) -> None:
        if not segments:
            self._operation = operation
            return
        first, *rest = segments
        if first.startswith(_PARAMETER):
            self._any = self._any or _Node()
            self._any.add(rest, operation)
        else:
            self._fixed.setdefault(first, _Node()).add(rest, operation)

    def find(self, segments: Sequence[str], at: int, parameters: list[str]) -> Operation | None:
        if at == len(segments):
            return self._operation
        if (fixed := self._fixed.get(segments[at])) is not None and (
            found := fixed.find(segments, at + 1, parameters)
        ) is not None:
            return found
        if self._any is None:
            return None
        parameters.append(segments[at])
        if (found := self._any.find(segments, at + 1, parameters)) is None:
            parameters.pop()
        return found


def _names(operation: Operation) -> list[str]:
    """Return the names of what stands in a path, in its order."""
    return [
        segment[1:-1].removesuffix(":path").removeprefix("path:")
        for segment in operation.path.split("/")
        if segment.startswith(_PARAMETER)
    ]


def _pairs(query: str) -> list[tuple[str, str]]:
    """Return what a query says, as werkzeug reads it: all values of a name together, where it first stands."""
    if not query:
        return []
    values: dict[str, list[str]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True, errors="werkzeug.url_quote"):
        values.setdefault(name, []).append(value)
    return [(name, value) for name, found in values.items() for value in found]
