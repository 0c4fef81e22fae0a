"""The gate: keeps browsers out before any route is looked at, on HTTP and before a WebSocket is accepted.

A page that the developer opens must not reach this service, whatever its name resolves to: the Host header has to name
this server, an Origin has to be our own, and a body has to be of a type that no page can send unasked.
Source: guarantees.md T1 to T3, T29, design.md 9.
"""

import re
from typing import Final

from intermute.core.errors import (
    BodyTooLarge,
    BrowserRefused,
    DomainError,
    MisdirectedHost,
    UnsupportedMediaType,
)
from intermute.core.limits import BODY_BYTES_MAX
from intermute.web.answer import JSON_TYPE, Call

LOCAL_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_HOST: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?")
_MUTATING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_OWN_SITES: Final = frozenset({"none", "same-origin"})


class Gate:
    """Judges headers only; knows the names this server goes by."""

    def __init__(self, allowed_hosts: frozenset[str] = frozenset()) -> None:
        self._allowed = frozenset(host.lower() for host in allowed_hosts)

    def judge(self, call: Call) -> DomainError | None:
        """Return why the call may not pass, or None."""
        return self._judge_host(call) or self._judge_origin(call) or _judge_body(call)

    def _judge_host(self, call: Call) -> DomainError | None:
        hosts = [value for name, value in call.headers if name == "host"]
        host = hosts[0] if len(hosts) == 1 else ""
        if call.peer.is_unix:  # No page can open a Unix socket, and clients put anything into Host there.
            return None
        matched = _HOST.fullmatch(host)
        if matched is None:
            return MisdirectedHost(_printable(host))
        name, port = matched[1].lower(), int(matched[2] or 80)
        if host.lower() in self._allowed or name in self._allowed:
            return None
        is_ours = name in LOCAL_HOSTS or name == _as_host(call.peer.server_host)
        return None if is_ours and port == call.peer.server_port else MisdirectedHost(_printable(host))

    def _judge_origin(self, call: Call) -> DomainError | None:
        origin, host = call.header("origin"), call.header("host")
        if origin is not None and origin.lower() != f"http://{(host or '').lower()}":
            return BrowserRefused("Origin", _printable(origin))
        site = call.header("sec-fetch-site")
        if site is not None and site.lower() not in _OWN_SITES:
            return BrowserRefused("Sec-Fetch-Site", _printable(site))
        return None


def _judge_body(call: Call) -> DomainError | None:
    if call.header("content-encoding") not in (None, "", "identity"):
        return UnsupportedMediaType(f"Content-Encoding: {_printable(call.header('content-encoding') or '')}")
    length = call.header("content-length") or "0"
    if length.isascii() and length.isdigit() and int(length[:20]) > BODY_BYTES_MAX:
        return BodyTooLarge()
    if call.method in _MUTATING:
        given = call.header("content-type")
        has_body = length != "0" or call.header("transfer-encoding") is not None
        if (has_body or given) and (given or "").partition(";")[0].strip().lower() != JSON_TYPE:
            return UnsupportedMediaType(_printable(given or ""))
    return None


def _as_host(address: str | None) -> str | None:
    return f"[{address}]" if address and ":" in address else address


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text[:200])
