"""The Quart lane: routes from the operation table, and nothing that decides. Source: design.md 4.

Every route turns its request into a `Call`, and what the front answers into a response.
"""

import difflib
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

import msgspec
from msgspec.structs import replace
from quart import Response, g, has_request_context, request, websocket
from quart.wrappers import Request, Websocket
from quart.wrappers.base import BaseRequestWebsocket
from quart_trio import QuartTrio
from werkzeug.exceptions import BadHost, HTTPException, RequestEntityTooLarge
from werkzeug.exceptions import MethodNotAllowed as WrongMethod
from werkzeug.routing import MapAdapter, PathConverter, RequestRedirect, WebsocketMismatch

from intermute.core.errors import (
    BodyTooLarge,
    DomainError,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    UnknownRoute,
)
from intermute.core.limits import BODY_BYTES_MAX
from intermute.core.operations import OPERATIONS, Operation
from intermute.web.answer import JSON_TYPE, NO_CONTENT, Answer, Call, Peer
from intermute.web.errors import error_answer
from intermute.web.front import Front
from intermute.web.openapi import template
from intermute.web.server.application import PEER_EXTENSION
from intermute.web.sockets import SOCKETS, Sockets

VERSIONS: Final = ("/api/", "/api/v1/")
"""Both prefixes are the same interface (docs/api.md, versioning)."""


class _Rest(PathConverter):
    """The rest of a path, whatever is in it: Werkzeug's own stops at a line break, and who sends one would hear of no route."""

    regex = r"[^/](?s:.*?)"


class _Lane(QuartTrio):
    """Quart, with a Host that is no host name left to our gate, which has a word for it."""

    def create_url_adapter(self, request: BaseRequestWebsocket | None) -> MapAdapter | None:
        """Return what finds the route, which no Host decides. Quart's own fails before anything of ours is asked."""
        try:
            return super().create_url_adapter(request)
        except BadHost:
            assert request is not None, "there is no server name configured that could be bad"
            query = request.query_string.decode("latin-1")
            return self.url_map.bind("invalid", None, None, request.scheme, request.method, request.path, query)


def build_app(front: Front, sockets: Sockets, log: Callable[..., None]) -> QuartTrio:
    """Return the application that carries calls between the server and the front."""
    app = _Lane("intermute", static_folder=None)
    app.config.update(
        MAX_CONTENT_LENGTH=BODY_BYTES_MAX,
        BODY_TIMEOUT=None,  # The server's guard has it (web/server/limits.py), and answers 408.
        RESPONSE_TIMEOUT=None,
        PROPAGATE_EXCEPTIONS=False,
    )
    app.url_map.converters["path"] = _Rest
    app.url_map.merge_slashes = True
    app.url_map.strict_slashes = False
    for operation in OPERATIONS:
        for path in paths_of(operation):
            app.add_url_rule(
                path.replace("{", "<").replace("}", ">"),
                endpoint=f"{operation.method} {path}",
                view_func=_view(front, operation),
                methods=[operation.method],
                provide_automatic_options=False,
            )
    for rule in app.url_map.iter_rules():
        (rule.methods or set()).discard("HEAD")  # Werkzeug adds it to every GET; it is 405 (contract.md 0.1).
    for path in SOCKETS:
        app.add_websocket(path, endpoint=f"WS {path}", view_func=_socket_view(sockets))
    app.before_request(_gate(front))
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _bug(log))
    return app


def paths_of(operation: Operation) -> list[str]:
    """Return the paths of an operation under every version, in the table's notation with Quart's converters."""
    path = (
        operation.path.replace(":path}", "}").replace("{", "{path:") if ":path}" in operation.path else operation.path
    )
    if not path.startswith(VERSIONS[0]):
        return [path]
    return [prefix + path.removeprefix(VERSIONS[0]) for prefix in VERSIONS]


def call_of(source: Request | Websocket) -> Call:
    """Return the call behind a request, with the peer taken from the socket alone."""
    scope: Any = source.scope  # Any: ASGI's scopes are open dictionaries.
    extensions = scope.get("extensions") or {}
    client, server = scope.get("client"), scope.get("server")
    return Call(
        method=getattr(source, "method", "GET"),
        path=source.path,
        query=[(name, value) for name, values in source.args.lists() for value in values],
        headers=[(name.lower(), value) for name, value in source.headers.items()],
        peer=Peer(
            host=client[0] if client else None,
            is_unix=(extensions.get(PEER_EXTENSION) or {}).get("transport") == "unix",
            server_host=server[0] if server else None,
            server_port=server[1] if server else None,
        ),
    )


def as_response(answer: Answer) -> Response:
    """Return the answer as Quart sends it."""
    response = Response(
        answer.body, status=answer.status, content_type=answer.content_type, headers=dict(answer.headers)
    )
    if answer.status == NO_CONTENT:  # Neither a body nor a word about one (RFC 9110, 8.6).
        del response.headers["Content-Length"], response.headers["Content-Type"]
    return response


def _view(front: Front, operation: Operation) -> Callable[..., Awaitable[Response]]:
    async def view(**path: str) -> Response:
        body = b""
        if operation.takes_body:
            body = cast(
                "bytes", await request.get_data(cache=False)
            )  # cast: it is text only where as_text is asked for.
        stripped = {name: value.strip("/") for name, value in path.items()}
        call = replace(g.call, body=body) if body else g.call
        return as_response(await front.answer(operation, call, stripped))

    return view


def _socket_view(sockets: Sockets) -> Callable[..., Awaitable[Response | None]]:
    async def view(agent: str | None = None) -> Response | None:
        refusal = await sockets.serve(websocket, call_of(websocket), agent)
        return as_response(refusal) if refusal else None

    return view


def _gate(front: Front) -> Callable[[], Awaitable[Response | None]]:
    async def gate() -> Response | None:
        g.call = call_of(request)  # Read once; the view takes it from here.
        refusal = front.judge(g.call)
        if refusal is not None:
            return as_response(error_answer(refusal))
        # Quart would answer a redirection in HTML and ask no error handler.
        found = request.routing_exception
        return _moved(found.new_url) if isinstance(found, RequestRedirect) else None

    return gate


def _moved(url: str) -> Response:
    """Return where a path with repeated slashes leads; with 308 the method and the body come along."""
    body = {"error": "moved", "message": f"Call {url} instead: a path has single slashes."}
    return Response(msgspec.json.encode(body) + b"\n", status=308, content_type=JSON_TYPE, headers={"Location": url})


async def _http_error(error: HTTPException) -> Response:
    is_socket = not has_request_context()
    source = websocket if is_socket else request
    refusal: DomainError
    match error:
        case WrongMethod() | WebsocketMismatch() if is_socket:
            refusal = UnknownRoute(source.path[:200], "/ws/events")
        case WebsocketMismatch():
            refusal = InvalidRequest([("Upgrade", "this path is a WebSocket: open it as one")])
        case WrongMethod():
            refusal = MethodNotAllowed(
                request.method, [m for m in error.valid_methods or () if m not in ("HEAD", "OPTIONS")]
            )
        case RequestEntityTooLarge():
            refusal = BodyTooLarge()
        case _ if error.code == 404:
            refusal = UnknownRoute(source.path[:200], _nearest(source.path))
        case _ if error.code is not None and error.code < 500:
            refusal = InvalidRequest([("request", error.description or error.name)])
        case _:
            refusal = InternalError()
    return as_response(error_answer(refusal))


def _nearest(path: str) -> str | None:
    known = {template(operation.path) for operation in OPERATIONS}
    found = difflib.get_close_matches(path[:200], known, n=1, cutoff=0.6)
    return found[0] if found else None


def _bug(log: Callable[..., None]) -> Callable[[Exception], Awaitable[Response]]:
    async def handler(error: Exception) -> Response:
        source = request if has_request_context() else websocket
        log("request.crashed", operation=source.path[:200], error=error)
        return as_response(error_answer(InternalError()))

    return handler
