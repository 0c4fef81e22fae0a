"""The demo's HTTP client: h11 over a trio stream, one connection a call. About what an agent's runtime has to bring."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import h11
import trio

CALL_TIMEOUT_S: Final = 10.0  # seconds for an answer; one that waits for events gets its wait on top.
_RECEIVE_BYTES: Final = 64 * 1024


class CallFailed(Exception):
    """The service did not answer as the demo needs it; the text says how."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, and the call it answers as a reader would write it."""

    call: str
    status: int
    body: Mapping[str, Any]  # Any: JSON, read by key where it is used.


@dataclass(frozen=True, slots=True)
class Client:
    """Calls one service about one project."""

    host: str
    port: int
    project: str

    async def call(
        self, method: str, path: str, fields: Mapping[str, object] | None = None, *, wait_s: float = 0
    ) -> Reply:
        """Return the answer; fields go into the query or the body, whichever the method has. Raises: CallFailed."""
        given = {"project": self.project, **(fields or {})}
        target, body = (path, json.dumps(given).encode()) if method == "POST" else (f"{path}?{urlencode(given)}", b"")
        try:
            with trio.fail_after(CALL_TIMEOUT_S + wait_s):
                status, content = await self._exchange(method, target, body)
            answer = json.loads(content)
        except (OSError, trio.BrokenResourceError, trio.TooSlowError, h11.RemoteProtocolError, ValueError) as error:
            raise CallFailed(f"{method} {path} got no answer: {type(error).__name__} {error}".rstrip()) from error
        if status >= 500 or not isinstance(answer, dict):
            raise CallFailed(f"{method} {path} was answered {status}: {content.decode(errors='replace')[:500]}")
        return Reply(f"{method} {path} {status}", status, answer)

    async def _exchange(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        connection = h11.Connection(our_role=h11.CLIENT)
        headers = [("Host", f"{self.host}:{self.port}"), ("Connection", "close")]
        if body:
            headers += [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        out = connection.send(h11.Request(method=method, target=target, headers=headers)) or b""
        if body:
            out += connection.send(h11.Data(data=body)) or b""
        out += connection.send(h11.EndOfMessage()) or b""
        status, content = 0, b""
        async with await trio.open_tcp_stream(self.host, self.port) as stream:
            await stream.send_all(out)
            while True:
                event = connection.next_event()
                if event is h11.NEED_DATA:
                    connection.receive_data(await stream.receive_some(_RECEIVE_BYTES))
                elif isinstance(event, h11.Response):
                    status = event.status_code
                elif isinstance(event, h11.Data):
                    content += bytes(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    return status, content
