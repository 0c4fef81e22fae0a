"""A call and its answer, free of any framework: what a lane hands to the front and what it gets back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

JSON_TYPE = "application/json"
PLAIN_TYPE = "text/plain"
NO_CONTENT = 204


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of the socket; nothing of it comes from a header."""

    host: str | None
    is_unix: bool
    server_host: str | None
    server_port: int | None


class Call(msgspec.Struct, frozen=True):
    """One request. Header names are in lower case; a header that came twice is in `headers` twice."""

    method: str
    path: str
    query: Sequence[tuple[str, str]]
    headers: Sequence[tuple[str, str]]
    peer: Peer
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """Return the first header of this name, trimmed, or None."""
        for known, value in self.headers:  # Asked ten times for each request: a generator takes twice as long.
            if known == name:
                return value.strip()
        return None


class Answer(msgspec.Struct, frozen=True):
    """What goes back: a status, a body that ends with a newline (JSON unless it says otherwise), and further headers."""

    status: int
    body: bytes
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    content_type: str = JSON_TYPE
