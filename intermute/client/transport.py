"""Carries requests over HTTP: one answer for each, repeated where that is safe, within time.

httpx carries the bytes, on trio. Proxies of the environment are not asked: the service is on this machine or near it.
"""

import random
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, cast

import httpx
import trio

from intermute.client.errors import NoAnswer, NotIntermute, Told, refusal_of
from intermute.client.requests import Request, view_of
from intermute.client.retrying import is_outcome_unknown, is_passing, pause_s
from intermute.client.settings import ClientSettings
from intermute.core.once import HEADER

ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024  # bytes; the longest page of the service is below 32 MiB.
CONNECTIONS_MAX: Final = 32  # of one client; a call beyond them waits for its turn.
_KEPT_FOR_S: Final = 4.0  # seconds a connection is kept idle; the server closes it after 6.
_ERROR_FROM: Final = 400
_REDIRECTS: Final = range(300, 400)
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True, slots=True)
class _Broken:
    """An attempt without an answer."""

    why: str
    was_sent: bool


class Transport:
    """Sends requests to one service. `chance` draws a number between 0 and 1; `carrier` takes the place of sockets.

    Resources: `aclose` it, in the trio program that used it.
    """

    def __init__(
        self,
        settings: ClientSettings,
        chance: Callable[[], float] = random.random,
        carrier: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._settings, self._chance = settings, chance
        self._http = httpx.AsyncClient(
            base_url=settings.url,
            timeout=None,  # noqa: S113 - each attempt has one time limit for all of it.
            headers={"Accept-Encoding": "identity"},
            trust_env=False,
            transport=carrier,
            # Without TLS there is nothing to verify, and loading the certificates takes 20 ms.
            verify=ssl.create_default_context() if settings.is_encrypted else False,
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX, keepalive_expiry=_KEPT_FOR_S),
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def ask(self, request: Request, headers: Mapping[str, str]) -> Any:  # Any: the operation's view.
        """Return what the service answers. Raises: DomainError, NoAnswer, NotIntermute."""
        retries = self._settings.retries
        is_safe = request.is_read or HEADER in headers
        until_s = trio.current_time() + retries.patience_s + request.waits_s
        is_open = False
        """An attempt may have been applied."""
        for attempt in range(1, retries.attempts_max + 1):
            outcome = await self._attempt(request, headers)
            if isinstance(outcome, _Broken):
                may_repeat = is_safe or not outcome.was_sent
                is_open = is_open or (outcome.was_sent and not request.is_read)
                failure: Exception = NoAnswer(request.shown, outcome.why, attempts=attempt, may_be_done=is_open)
                after_s = None
            elif isinstance(outcome, Told):
                may_repeat = is_passing(outcome) and (is_safe or not is_outcome_unknown(outcome))
                is_open = is_open or (is_outcome_unknown(outcome) and not request.is_read)
                failure, after_s = outcome, outcome.retry_after_s
            else:
                return outcome.view
            pause = pause_s(retries, attempt, self._chance(), after_s)
            if not may_repeat or attempt == retries.attempts_max or trio.current_time() + pause > until_s:
                raise failure
            await trio.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    async def _attempt(self, request: Request, headers: Mapping[str, str]) -> "_Broken | Told | _Answered":
        """Send the request once. Raises: NotIntermute."""
        limit_s = self._settings.timeout_s + request.waits_s
        with trio.move_on_after(limit_s):
            try:
                status, fields, body = await self._exchange(request, headers)
            except _NOT_SENT as error:
                return _Broken(_words(error), was_sent=False)
            except httpx.TransportError as error:
                return _Broken(_words(error), was_sent=True)
            if status in _REDIRECTS:
                raise NotIntermute(request.shown, status, body)
            if status >= _ERROR_FROM:
                return refusal_of(request.shown, status, fields, body)
            return _Answered(view_of(request, status, fields, body))
        return _Broken(f"not within {limit_s:g} s", was_sent=True)

    async def _exchange(self, request: Request, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        sending = self._http.build_request(request.operation.method, request.target, headers=headers)
        if request.body is not None:
            sending.headers["Content-Length"] = str(len(request.body))
            sending.stream = _Body(request.body)
        response = await self._http.send(sending, stream=True)
        body = bytearray()
        try:
            # httpx names the narrower type; what it returns is a generator, and has to be closed.
            async with aclosing(cast("AsyncGenerator[bytes]", response.aiter_bytes())) as pieces:
                async for piece in pieces:
                    body += piece
                    if len(body) > ANSWER_BYTES_MAX:
                        raise NotIntermute(request.shown, response.status_code, bytes(body[:1000]))
        finally:
            await response.aclose()
        return response.status_code, response.headers, bytes(body)


class _Body(httpx.AsyncByteStream):
    """The body of a request. httpx's own is a generator, which is left hanging where a connection breaks meanwhile."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Pieces([self._content])


class _Pieces(AsyncIterator[bytes]):
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def __anext__(self) -> bytes:
        if not self._pieces:
            raise StopAsyncIteration
        return self._pieces.pop()


@dataclass(frozen=True, slots=True)
class _Answered:
    """A view, which may be of any type."""

    view: Any


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
