"""Packets that no client would send: valid requests, handshakes and frames, and the corpus of hostile ones, mutated.

The number of a packet and the seed decide every byte of it, so that each can be had again alone. Source: guarantees.md G22.
"""

import base64
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from known_keys import ACME_KEY
from server_process import REPOSITORY

HOST: Final = "fuzz"
"""A name that the server is told to go by, so that no packet depends on its port."""
_CORPUS: Final = tuple(
    base64.b64decode(each["base64"])
    for each in json.loads((REPOSITORY / "tests" / "vectors" / "hostile_packets.json").read_text())["packets"]
)
_AGENT: Final = {"project": "acme", "agent": "anna"}
_CALLS: Final[tuple[tuple[str, str, object], ...]] = (
    ("GET", "/health", None),
    ("GET", "/api/agents?project=acme&limit=2", None),
    ("GET", "/api/inbox/anna?project=acme&since_cursor=1&unread=true", None),
    ("GET", "/api/inbox/anna/counts", None),
    ("GET", "/api/events?project=acme&since_cursor=0&limit=5&type=message.created", None),
    ("GET", "/api/reservations/check?pattern=src%2F**&mode=shared", None),
    ("GET", "/api/threads/t%C3%A9?project=acme", None),
    ("GET", "/api/openapi.json", None),
    ("POST", "/api/agents", {"project": "acme", "name": "anna", "capabilities": ["go"], "metadata": {"k": "v"}}),
    ("POST", "/api/agents/anna/heartbeat", {"project": "acme"}),
    ("POST", "/api/messages", {"project": "acme", "from": "anna", "to": ["ben"], "body": "h\u00e9llo", "thread_id": "t"}),
    ("POST", "/api/messages/m1/ack", _AGENT),
    ("POST", "/api/reservations", {**_AGENT, "patterns": ["src/{a,b}/*.py", "lib/**"], "ttl_seconds": 1}),
    ("PATCH", "/api/reservations/r1", {"project": "acme", "ttl_seconds": 60}),
    ("DELETE", "/api/reservations?project=acme&agent=anna", None),
    ("POST", "/api/tasks", {"project": "acme", "id": "t1", "title": "x", "depends_on": ["t0"]}),
    ("PATCH", "/api/tasks/t1", {"project": "acme", "version": 1, "title": "y"}),
    ("PUT", "/api/projects/acme/symbols", {"files": [{"path": "a.py", "symbols": [{"name": "A", "kind": "class"}]}]}),
    ("POST", "/api/forecast", {"project": "acme", "steps": [{"agent": "anna", "patterns": ["src/**"]}]}),
)  # fmt: skip
_SOCKETS: Final = ("/ws/events?project=acme", "/ws/agents/anna?project=acme&since_cursor=0", "/ws/events?types=x")
_TOKENS: Final = (
    b"\r\n", b"\r\n\r\n", b"\n", b"\x00", b"\xff", b"\xed\xa0\x80", b" ", b":", b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n",
    b"Content-Length: 99999999999999999999\r\n", b"Content-Length: -1\r\n", b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\n",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n", b"HTTP/1.0", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"%00", b"%ff", b"..%2f",
    b"[" * 200, b'{"a":' * 50, b"1e999", b"9" * 400, b"NaN", b"null", b"\\ud800", b'"', b"A" * 20_000, b"X: y\r\n" * 120,
)  # fmt: skip


@dataclass(frozen=True)
class Packet:
    """What is sent over one connection, piece by piece; with `waits`, an answer is awaited after the first piece."""

    number: int
    pieces: tuple[bytes, ...]
    waits: bool


def packet(seed: int, number: int) -> Packet:
    """Return the packet of this number."""
    chance = random.Random(f"{seed} {number}")
    kind = chance.random()
    if kind < 0.3:
        return _websocket(number, chance)
    whole = _corpus(chance) if kind < 0.45 else _request(chance)
    if chance.random() < 0.2:  # Several at once, as a pipelining client or a smuggler has it.
        whole += _request(chance)
    return Packet(number, _cut(_mutated(whole, chance), chance), waits=chance.random() < 0.5)


def _request(chance: random.Random) -> bytes:
    method, target, fields = chance.choice(_CALLS)
    body = b"" if fields is None else json.dumps(fields, ensure_ascii=chance.random() < 0.5).encode()
    lines = [f"{method} {target} HTTP/1.1", f"Host: {HOST}", *_identity()]
    if body:
        lines.append("Content-Type: application/json")
    is_chunked = bool(body) and chance.random() < 0.3
    if is_chunked:
        lines.append("Transfer-Encoding: chunked")
        at = chance.randrange(1, len(body))
        body = b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in (body[:at], body[at:])) + b"0\r\n\r\n"
    elif method != "GET":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def _identity() -> list[str]:
    # A remote caller with a key: whatever becomes of the project's name, it can make no project.
    return ["X-Forwarded-For: 203.0.113.10", f"Authorization: Bearer {ACME_KEY}"]


def _corpus(chance: random.Random) -> bytes:
    found = chance.choice(_CORPUS)
    if chance.random() < 0.7:
        found = found.replace(b"Host: 127.0.0.1\r\n", "\r\n".join([f"Host: {HOST}", *_identity(), ""]).encode())
    return found.replace(b"/ws ", chance.choice(_SOCKETS).encode() + b" ") if chance.random() < 0.7 else found


def _websocket(number: int, chance: random.Random) -> Packet:
    """A handshake, seldom mutated, and frames, often."""
    key = base64.b64encode(chance.randbytes(16)).decode()
    lines = [
        f"GET {chance.choice(_SOCKETS)} HTTP/1.1", f"Host: {HOST}", *_identity(), "Connection: Upgrade", "Upgrade: websocket",
        "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}",
    ]  # fmt: skip
    if chance.random() < 0.2:
        lines.append("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
    head = "\r\n".join([*lines, "", ""]).encode()
    frames = b"".join(_frame(chance) for _ in range(chance.randrange(1, 6)))
    if chance.random() < 0.15:
        head = _mutated(head, chance)
    if chance.random() < 0.7:
        frames = _mutated(frames, chance)
    if chance.random() < 0.2:
        return Packet(number, (head + frames,), waits=False)
    return Packet(number, (head, *_cut(frames, chance)), waits=True)


def _frame(chance: random.Random) -> bytes:
    payload = chance.choice(
        [b"", b'{"a": 1}', b"nonsense", b"\xff\xfe", b"\x03\xe8bye", b"\x03", chance.randbytes(200), b"[" * 5000]
    )
    length = len(payload) if chance.random() < 0.9 else chance.choice([0, 125, 126, 65_535, 65_536, 2**31, 2**63])
    first = chance.choice([0x81, 0x82, 0x01, 0x80, 0x00, 0x88, 0x89, 0x8A, 0x83, 0x8F, 0xC1])
    is_masked = chance.random() < 0.9
    second = 0x80 if is_masked else 0
    if length < 126:
        head = bytes([first, second | length])
    elif length < 65_536:
        head = bytes([first, second | 126]) + length.to_bytes(2, "big")
    else:
        head = bytes([first, second | 127]) + length.to_bytes(8, "big")
    mask = chance.randbytes(4)
    if not is_masked:
        return head + payload
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def _mutated(data: bytes, chance: random.Random) -> bytes:
    """Return the data after some changes; one time in ten after none."""
    changes = chance.choice([0, 1, 1, 1, 1, 2, 2, 3, 5, 8])
    for _ in range(changes):
        data = chance.choice(_CHANGES)(data, chance)
    return data


def _flip(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]


def _insert(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.choice(_TOKENS) + data[at:]


def _drop(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + data[at + chance.choice([1, 1, 2, 5, 40]) :]


def _double(data: bytes, chance: random.Random) -> bytes:
    start, end = sorted(chance.randrange(len(data) + 1) for _ in range(2))
    return data[:end] + data[start:]


def _truncate(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _swap_lines(data: bytes, chance: random.Random) -> bytes:
    lines = data.split(b"\r\n")
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\r\n".join(lines)


def _splice(data: bytes, chance: random.Random) -> bytes:
    other = chance.choice(_CORPUS)
    return data[: chance.randrange(len(data) + 1)] + other[chance.randrange(len(other)) :]


_CHANGES: Final[tuple[Callable[[bytes, random.Random], bytes], ...]] = (
    _flip, _flip, _insert, _insert, _drop, _double, _truncate, _swap_lines, _splice,
)  # fmt: skip


def _cut(data: bytes, chance: random.Random) -> tuple[bytes, ...]:
    """Return the data in one piece, or now and then in some."""
    if len(data) < 2 or chance.random() < 0.7:
        return (data,)
    places = sorted({chance.randrange(1, len(data)) for _ in range(chance.randrange(1, 4))})
    return tuple(data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True))
