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
from intermute.client.retrying import OF_PROXIES, is_outcome_unknown, is_passing, pause_s
from intermute.client.settings import ClientSettings
from intermute.core.once import HEADER

ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024  # bytes; the longest page of the service is below 32 MiB.
CONNECTIONS_MAX: Final = 32  # of one client; a call beyond them waits for its turn.
_KEPT_FOR_S: Final = 4.0  # seconds a connection is kept idle; the server closes it after 6.
_ERROR_FROM: Final = 400
_REDIRECTS: Final = range(300, 400)
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True, slots=True)
class _Failed:
    """An attempt without the wished answer. `is_lost` where nobody but the server knows whether it was applied."""

    why: str
    is_lost: bool
    is_passing: bool = True
    told: Told | None = None
    """The refusal, where there was one."""

    @property
    def retry_after_s(self) -> float | None:
        """What the server asks to wait."""
        return None if self.told is None else self.told.retry_after_s


@dataclass(frozen=True, slots=True)
class _Answered:
    """A view, which may be of any type."""

    view: Any


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
        until_s = trio.current_time() + retries.patience_s + request.waits_s
        is_safe, was_lost = request.is_read or HEADER in headers, False
        for attempt in range(1, retries.attempts_max + 1):
            outcome = await self._attempt(request, headers)
            if isinstance(outcome, _Answered):
                return outcome.view
            pause = pause_s(retries, attempt, self._chance(), outcome.retry_after_s)
            is_late = attempt == retries.attempts_max or trio.current_time() + pause > until_s
            if is_late or not outcome.is_passing or (outcome.is_lost and not is_safe):
                raise self._failure(request, outcome, attempt, was_lost=was_lost)
            was_lost = was_lost or outcome.is_lost
            await trio.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _failure(self, request: Request, outcome: "_Failed", attempts: int, *, was_lost: bool) -> Exception:
        """Return what the caller is told; that nothing was done only where that is so of every attempt."""
        told = outcome.told
        if told is not None and (not was_lost or request.is_read or outcome.is_lost or not outcome.is_passing):
            return told
        may_be_done = (was_lost or outcome.is_lost) and not request.is_read
        failure = NoAnswer(request.shown, outcome.why, attempts=attempts, may_be_done=may_be_done)
        failure.__cause__ = told
        return failure

    async def _attempt(self, request: Request, headers: Mapping[str, str]) -> "_Failed | _Answered":
        """Send the request once. Raises: NotIntermute."""
        limit_s = self._settings.timeout_s + request.waits_s
        with trio.move_on_after(limit_s):
            try:
                status, fields, body = await self._exchange(request, headers)
            except _NOT_SENT as error:
                return _Failed(_words(error), is_lost=False)
            except httpx.TransportError as error:
                return _Failed(_words(error), is_lost=True)
            if status in _REDIRECTS:
                raise NotIntermute(request.shown, status, body)
            if status >= _ERROR_FROM:
                return _refused(request, status, fields, body)
            return _Answered(view_of(request, status, fields, body))
        return _Failed(f"not within {limit_s:g} s", is_lost=True)

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


def _refused(request: Request, status: int, fields: Mapping[str, str], body: bytes) -> _Failed:
    """Return the refusal that an answer tells of. Raises: NotIntermute, but for a proxy that waits for its service."""
    try:
        told = refusal_of(request.shown, status, fields, body)
    except NotIntermute as stranger:
        if status not in OF_PROXIES:
            raise
        return _Failed(str(stranger), is_lost=True)
    return _Failed(str(told), is_lost=is_outcome_unknown(told), is_passing=is_passing(told), told=told)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
