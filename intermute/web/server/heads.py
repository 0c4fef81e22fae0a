"""Plain heads of requests: read with llhttp, and only where they mean one thing to every parser.

What llhttp takes more freely than we do is refused before it sees it, so that whatever comes out of here h11 would read the
same. Source: issue 7; decisions/0018-plain-lane.md.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import httptools

_FIRST_LINE: Final = re.compile(rb"[A-Z]+ [!-~]+ HTTP/1\.1\r\n")
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9_~@:.-]*[A-Za-z0-9_~@:-][A-Za-z0-9_~@:.-]*)+")
"""Nothing that could be read in two ways: no escapes, no empty segment and none of dots alone, no slash at the end."""
_NOT_PLAIN: Final = frozenset({"transfer-encoding", "expect", "te", "trailer", "http2-settings"})
_NOT_IN_UPGRADES: Final = frozenset({"content-length", "sec-websocket-protocol"})
_ONCE: Final = ("host", "content-length", "connection", "upgrade", "sec-websocket-key", "sec-websocket-version")
_KEEPS: Final = {"keep-alive": False, "close": True}
_LENGTH: Final = re.compile(r"[0-9]{1,7}")
_UPGRADES: Final = frozenset({"upgrade", "keep-alive, upgrade", "upgrade, keep-alive"})
_WEBSOCKET_VERSION: Final = "13"
_WEBSOCKET_KEY: Final = re.compile(r"[A-Za-z0-9+/]{22}==")


@dataclass(frozen=True, slots=True)
class PlainHead:
    """The head of a plain request: ASCII, names in lower case, values trimmed, a path without escapes."""

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    websocket_key: str | None = None
    """The key of a request to become a WebSocket; None where it asks for an answer."""


class HeadParser:
    """Reads the heads of one connection."""

    def __init__(self) -> None:
        self._url = b""
        self._headers: list[tuple[str, str]] = []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("ascii").lower(), value.decode("ascii").strip(" \t")))

    def parse(self, head: bytes, fields_max: int) -> tuple[PlainHead, int, bool] | None:
        """Return a head, how long the body is, and whether the connection ends after it; None where it is not plain."""
        lines = head.count(b"\r\n")
        if not head.isascii() or head.count(b"\n") != lines or head.count(b"\r") != lines:
            return None
        if b"\r\n " in head or b"\r\n\t" in head or lines > fields_max + 2 or _FIRST_LINE.match(head) is None:
            return None
        self._url, self._headers = b"", []
        # A new one for each head: the body does not go through it, and after a head with a length it would wait for one.
        parser = httptools.HttpRequestParser(self)
        try:
            parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            pass  # Raised when the head has been read; what it asks to become is looked at below.
        except httptools.HttpParserError:
            return None
        method = parser.get_method().decode("ascii")
        if method not in _METHODS:
            return None
        path, mark, query = self._url.decode("ascii").partition("?")
        if _PATH.fullmatch(path) is None or "#" in query or (mark and not query.isprintable()):
            return None
        return self._framed(PlainHead(method, path, query, self._headers))

    def _framed(self, head: PlainHead) -> tuple[PlainHead, int, bool] | None:
        names = [name for name, _ in head.headers]
        if not _NOT_PLAIN.isdisjoint(names) or "host" not in names or any(names.count(each) > 1 for each in _ONCE):
            return None
        values = dict(head.headers)
        if "upgrade" in names:
            upgraded = _upgraded(head, values)
            return None if upgraded is None else (upgraded, 0, False)
        length = values.get("content-length", "0")
        closes = _KEEPS.get(values.get("connection", "keep-alive").lower())
        if closes is None or _LENGTH.fullmatch(length) is None or (head.method == "GET" and length != "0"):
            return None
        return head, int(length), closes


def read_plain(head: bytes, fields_max: int = 100) -> tuple[PlainHead, int, bool] | None:
    """Return a head, how long its body is, and whether the connection ends after it; None where it is not plain."""
    return HeadParser().parse(head, fields_max)


def _upgraded(head: PlainHead, values: Mapping[str, str]) -> PlainHead | None:
    """Return the head of a WebSocket's handshake, with its key; None where another parser could want to refuse it."""
    key = values.get("sec-websocket-key", "")
    is_plain = (
        head.method == "GET"
        and values["upgrade"].lower() == "websocket"
        and values.get("connection", "").lower() in _UPGRADES
        and values.get("sec-websocket-version") == _WEBSOCKET_VERSION
        and _WEBSOCKET_KEY.fullmatch(key) is not None
        and _NOT_IN_UPGRADES.isdisjoint(values)
    )
    return replace(head, websocket_key=key) if is_plain else None
