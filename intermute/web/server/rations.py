"""What one WebSocket may send: so many control frames in a time, so much and so many frames in a message.

Source: guarantees.md T12. The bounds are in `ServerLimits`; wsproto has none of them.
"""

import trio
from wsproto.events import BytesMessage, TextMessage
from wsproto.frame_protocol import CloseReason

from intermute.web.server.limits import ServerLimits

Excess = tuple[CloseReason, str]
"""With which code, and in which words, a WebSocket is closed that sent too much."""


class Rations:
    """What is left to one WebSocket."""

    __slots__ = ("_control_frames", "_counted_at_s", "_fragments", "_limits", "_message_bytes")

    def __init__(self, limits: ServerLimits) -> None:
        self._limits = limits
        self._control_frames = float(limits.control_frames_burst)
        self._counted_at_s = trio.current_time()
        self._message_bytes = 0
        self._fragments = 0

    def of_control(self) -> Excess | None:
        """Take note of a ping or a pong; return why it was one too many."""
        now_s = trio.current_time()
        refill = (now_s - self._counted_at_s) * self._limits.control_frames_per_s
        self._control_frames = min(self._control_frames + refill, self._limits.control_frames_burst) - 1
        self._counted_at_s = now_s
        return (CloseReason.POLICY_VIOLATION, "too many pings") if self._control_frames < 0 else None

    def of_message(self, piece: TextMessage | BytesMessage) -> Excess | None:
        """Take note of a piece of a message; return why its message is too much. The limit counts bytes, not characters."""
        data = piece.data
        self._message_bytes += len(data.encode() if isinstance(data, str) else data)
        self._fragments += piece.frame_finished
        excess = None
        if self._message_bytes > self._limits.message_limit_bytes:
            excess = CloseReason.MESSAGE_TOO_BIG, f"send at most {self._limits.message_limit_bytes} bytes"
        elif self._fragments > self._limits.fragments_max:
            excess = CloseReason.POLICY_VIOLATION, "too many fragments"
        if piece.message_finished:
            self._message_bytes = self._fragments = 0
        return excess
