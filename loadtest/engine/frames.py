"""Cuts what a WebSocket server sends into messages. Pure: bytes in, messages out, however the network split them.

Lean, since a thousand sockets hear of every message at once: no object for a frame, and the usual one (a whole text) is
known by its first byte. What no server may send is no message but a failure of the load.
Source: RFC 6455, section 5.
"""

from typing import Final

from loadtest.engine.connection import LoadFailed

CONTINUED, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
NO_CODE: Final = 1005
"""The code of a close frame that has none (RFC 6455, 7.1.5)."""
_FINAL: Final = 0x80
_RESERVED: Final = 0x70
_MASKED: Final = 0x80
_WHOLE_TEXT: Final = _FINAL | TEXT
_OPCODES: Final = frozenset({CONTINUED, TEXT, BINARY, CLOSE, PING, PONG})
_CONTROL_BYTES_MAX: Final = 125


class Frames:
    """What one socket has received and nobody has taken: less than a frame, and the parts of less than a message."""

    __slots__ = ("_opcode", "_parts", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._parts: list[bytes] = []
        self._opcode = TEXT

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Take what was received next; return the messages and control frames that are whole now, each after its opcode.

        Raises: LoadFailed, for what a server must not send.
        """
        if self._rest:
            data = self._rest + data
        found: list[tuple[int, bytes]] = []
        at, have = 0, len(data)
        while have - at >= 2:
            first, length, begin = data[at], data[at + 1], at + 2
            if length >= 126:
                if length & _MASKED:
                    raise LoadFailed(f"the service masked a frame: {data[at : at + 16]!r}")
                begin = at + (4 if length == 126 else 10)
                if begin > have:
                    break
                length = int.from_bytes(data[at + 2 : begin], "big")
            end = begin + length
            if end > have:
                break
            if first == _WHOLE_TEXT and not self._parts:
                found.append((TEXT, data[begin:end]))
            else:
                self._take(first, data[begin:end], found)
            at = end
        self._rest = data[at:]
        return found

    def _take(self, first: int, payload: bytes, found: list[tuple[int, bytes]]) -> None:
        """Take a frame that is not the usual one."""
        opcode, is_final = first & 0x0F, bool(first & _FINAL)
        is_control = opcode >= CLOSE
        if first & _RESERVED or opcode not in _OPCODES:
            raise LoadFailed(f"the service sent a frame that begins with {first:#04x}, which nobody agreed on")
        if is_control and (not is_final or len(payload) > _CONTROL_BYTES_MAX):
            raise LoadFailed(f"the service sent a control frame {first:#04x} in pieces, or of {len(payload)} bytes")
        if not is_control and (opcode == CONTINUED) != bool(self._parts):
            raise LoadFailed(f"the service sent a frame {first:#04x} after {len(self._parts)} parts of a message")
        if is_control:
            found.append((opcode, payload))
            return
        self._opcode = opcode or self._opcode
        self._parts.append(payload)
        if is_final:
            found.append((self._opcode, b"".join(self._parts)))
            self._parts.clear()


def pong(payload: bytes) -> bytes:
    """Return the answer to a ping with this payload; masked, as a client has to, with a mask of zeros."""
    return bytes((_FINAL | PONG, _MASKED | len(payload), 0, 0, 0, 0)) + payload


def close_reason(payload: bytes) -> tuple[int, str]:
    """Return the code and the reason of a close frame."""
    if len(payload) < 2:
        return NO_CODE, ""
    return int.from_bytes(payload[:2], "big"), payload[2:].decode(errors="replace")
