"""Plain heads of requests: read with llhttp, and only where they mean one thing to every parser.

What llhttp takes more freely than we do is refused before it sees it, so that whatever comes out of here h11 would read the
same. A client sends the same fields with each request, so they are read once: what is remembered is bounded, and forgotten
with the process. Source: issue 7; decisions/0018-plain-lane.md.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import httptools
import msgspec

_LINE_END: Final = b"\r\n"
_FIRST_LINE: Final = re.compile(rb"(GET|POST|PUT|PATCH|DELETE) ([!-~]+) HTTP/1\.1")
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
_REMEMBERED: Final = (
    1024  # blocks of fields, one for each kind of client and length of body; with the next, some 2 MiB.
)
_REMEMBERED_BYTES: Final = 1024  # of a block; a longer one is read each time.


@dataclass(frozen=True, slots=True, eq=False)
class HeadFields:
    """The fields of a plain head; the same object for the same bytes, as long as they are remembered."""

    pairs: tuple[tuple[str, str], ...]
    """Names in lower case, values trimmed, in order."""
    body_bytes: int
    closes: bool
    """The connection ends after the answer."""
    websocket_key: str | None
    """The key of a request to become a WebSocket; None where it asks for an answer."""


class PlainHead(msgspec.Struct, frozen=True):
    """The head of a plain request, ASCII, with a path without escapes."""

    method: str
    path: str
    query: str
    fields: HeadFields


def read_plain(head: bytes, fields_max: int = 100) -> PlainHead | None:
    """Return a head, from its first line to its empty one; None where it is not plain."""
    line_bytes = head.find(_LINE_END)
    line = _FIRST_LINE.fullmatch(head, 0, line_bytes)
    if line is None:
        return None
    method = line[1].decode("ascii")
    path, _, query = line[2].decode("ascii").partition("?")
    if _PATH.fullmatch(path) is None or "#" in query:
        return None
    block = head[line_bytes + len(_LINE_END) :]
    read = _read_fields if len(block) <= _REMEMBERED_BYTES else _read_fields.__wrapped__
    fields = read(block, fields_max)
    if fields is None or (method == "GET" and fields.body_bytes) or (method != "GET" and fields.websocket_key):
        return None
    return PlainHead(method, path, query, fields)


@lru_cache(maxsize=_REMEMBERED)
def _read_fields(block: bytes, fields_max: int) -> HeadFields | None:
    """Return the fields in this part of a head, which ends with the empty line; None where they are not plain."""
    lines = block.count(_LINE_END)
    if not block.isascii() or block.count(b"\n") != lines or block.count(b"\r") != lines:
        return None
    if b"\r\n " in block or b"\r\n\t" in block or block.startswith((b" ", b"\t")) or lines > fields_max + 1:
        return None
    reader = _Reader()
    parser = httptools.HttpRequestParser(reader)
    try:
        parser.feed_data(b"GET / HTTP/1.1\r\n" + block)
    except httptools.HttpParserUpgrade:
        pass  # Raised when the head has been read; what it asks to become is looked at below.
    except httptools.HttpParserError:
        return None
    return _framed(tuple(reader.pairs))


class _Reader:
    """What llhttp tells of one head."""

    def __init__(self) -> None:
        self.pairs: list[tuple[str, str]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.pairs.append((name.decode("ascii").lower(), value.decode("ascii").strip(" \t")))


def _framed(pairs: tuple[tuple[str, str], ...]) -> HeadFields | None:
    names = [name for name, _ in pairs]
    if not _NOT_PLAIN.isdisjoint(names) or "host" not in names or any(names.count(each) > 1 for each in _ONCE):
        return None
    values = dict(pairs)
    if "upgrade" in names:
        key = _websocket_key(values)
        return None if key is None else HeadFields(pairs, 0, closes=False, websocket_key=key)
    length = values.get("content-length", "0")
    closes = _KEEPS.get(values.get("connection", "keep-alive").lower())
    if closes is None or _LENGTH.fullmatch(length) is None:
        return None
    return HeadFields(pairs, int(length), closes=closes, websocket_key=None)


def _websocket_key(values: Mapping[str, str]) -> str | None:
    """Return the key of a WebSocket's handshake; None where another parser could want to refuse it."""
    key = values.get("sec-websocket-key", "")
    is_plain = (
        values["upgrade"].lower() == "websocket"
        and values.get("connection", "").lower() in _UPGRADES
        and values.get("sec-websocket-version") == _WEBSOCKET_VERSION
        and _WEBSOCKET_KEY.fullmatch(key) is not None
        and _NOT_IN_UPGRADES.isdisjoint(values)
    )
    return key if is_plain else None
