"""The fast lane: plain requests for operations of the table, answered without a framework. Source: design.md 4, issue 7.

Same table, same gate, same front as the Quart lane (`lane.py`), so the same answers; what has no operation here, or does
not pass the gate, is left to that lane, which refuses it.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final
from urllib.parse import parse_qsl

from intermute.core.operations import OPERATIONS, Operation
from intermute.web.answer import NO_CONTENT, Answer, Call, Peer
from intermute.web.front import Front
from intermute.web.lane import paths_of
from intermute.web.push import Push
from intermute.web.server import Answering, HeadFields, Lane, Opening, PlainHead, PlainReply, PushSocket
from intermute.web.server.listeners import Peer as SocketPeer

_PARAMETER: Final = "{"
_PROJECT_SOCKET: Final = "/ws/events"
_AGENT_SOCKET: Final = "/ws/agents/"
_Address = tuple[str, int]


class FastLane:
    """Makes the lane of each connection."""

    def __init__(self, front: Front, push: Push | None = None) -> None:
        """Args: push, serves the sockets; without it they are left to the other lane."""
        self._front, self._push = front, push
        self._routes = Routes(OPERATIONS)

    def __call__(self, peer: SocketPeer, client: _Address | None, server: _Address | None) -> Lane:
        """Return what finds who answers the requests of one connection."""
        origin = Peer(
            host=client[0] if client else None,
            is_unix=peer.is_unix,
            server_host=server[0] if server else None,
            server_port=server[1] if server else None,
        )

        return _PeerLane(self, origin)

    def judges(self, head: PlainHead, peer: Peer) -> bool:
        """Tell whether the gate lets a request pass, whatever its path."""
        return self._front.judge(Call(head.method, head.path, (), head.fields.pairs, peer)) is None

    def find(self, head: PlainHead, peer: Peer) -> Answering | None:
        """Return what answers a request that the gate lets pass."""
        found = self._routes.find(head.method, head.path)
        if found is None:
            return None
        operation, parameters = found

        async def answer(body: bytes) -> PlainReply:
            taken = body if operation.takes_body else b""
            call = Call(head.method, head.path, _pairs(head.query), head.fields.pairs, peer, taken)
            return _as_reply(await self._front.answer(operation, call, parameters))

        return answer

    def open(self, head: PlainHead, peer: Peer) -> Opening | None:
        """Return what serves a WebSocket that the gate lets pass."""
        if head.path == _PROJECT_SOCKET:
            agent = None
        elif head.path.startswith(_AGENT_SOCKET):
            agent = head.path.removeprefix(_AGENT_SOCKET)
        else:
            return None
        if self._push is None:
            return None
        call = Call(head.method, head.path, _pairs(head.query), head.fields.pairs, peer)
        return partial(_opened, self._push, call, agent)


class _PeerLane:
    """The lane of one connection."""

    __slots__ = ("_lane", "_passed", "_peer")

    def __init__(self, lane: FastLane, peer: Peer) -> None:
        self._lane, self._peer = lane, peer
        self._passed: tuple[str, HeadFields] | None = None
        """Method and fields that the gate let pass last; it knows nothing else of a request, and mostly they come again."""

    def find(self, head: PlainHead) -> Answering | None:
        """Return what answers a request."""
        return self._lane.find(head, self._peer) if self._passes(head) else None

    def open(self, head: PlainHead) -> Opening | None:
        """Return what serves a WebSocket."""
        return self._lane.open(head, self._peer) if self._passes(head) else None

    def _passes(self, head: PlainHead) -> bool:
        known = self._passed
        if known is not None and known[1] is head.fields and known[0] == head.method:
            return True
        if not self._lane.judges(head, self._peer):
            return False
        self._passed = head.method, head.fields
        return True


async def _opened(push: Push, call: Call, agent: str | None, socket: PushSocket) -> PlainReply | None:
    refusal = await push.serve(socket, call, agent)
    return None if refusal is None else _as_reply(refusal)


def _as_reply(answer: Answer) -> PlainReply:
    content_type = None if answer.status == NO_CONTENT else answer.content_type
    return PlainReply(answer.status, content_type, answer.body, list(answer.headers.items()))


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
