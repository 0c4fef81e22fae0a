"""Requests that are applied once: what makes a repeated one the same, and what is kept of its reply.

Decided here and nowhere else: a key belongs to the caller that presents it, with everything it says of itself, so that
nobody is given another's reply; the same content is the same fields, however they are spelled; and what is kept is sealed
with the key, which is not kept, so that the file alone does not tell what was answered. Source: guarantees.md G4.
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import msgspec
from msgspec.structs import replace

from intermute.core import limits
from intermute.core.agents import Caller
from intermute.core.errors import IdempotencyKeyMismatch, ReplyNotKept, TooManyIdempotencyKeys
from intermute.core.ids import Micros
from intermute.core.times import SECOND_US, Now

HEADER: Final = "Idempotency-Key"
REPEATED_HEADER: Final = "Idempotency-Replayed"
NOT_THE_REQUEST: Final = frozenset({"ticket", "wait_seconds"})
"""Fields that may differ between two sendings of one request: how long the client waits is not what it asks for."""


class Reply(msgspec.Struct, frozen=True):
    """A reply as it is sent, byte for byte; `is_repeat` where it was first given to an earlier sending of the request."""

    status: int
    body: bytes
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    is_repeat: bool = False


class KeptReply(msgspec.Struct, frozen=True):
    """What is kept under a key. `reply` is sealed, and None where it was too long to keep."""

    number: int
    place: bytes
    content: bytes
    at_us: Micros
    reply: bytes | None


class Once(msgspec.Struct, frozen=True):
    """A request that came with a key. `place` stands for the caller and its key, `content` for what is asked."""

    place: bytes
    content: bytes
    secret: bytes
    render: Callable[[Any], Reply]  # Any: the operation table says which view.
    """How a view is sent; a pure function of it."""

    @classmethod
    def of(cls, key: str, caller: Caller, question: msgspec.Struct, render: Callable[[Any], Reply]) -> Self:
        """Return the request of this caller under this key. Any: see `render`."""
        # As the caller says it, not as the project reads it: a repeat must be known when its token or name is gone.
        owner = msgspec.msgpack.encode([caller.is_local, caller.claims, caller.token_hash, key])
        asked = {name: value for name, value in msgspec.structs.asdict(question).items() if value is not None}
        # Without what is absent: a version with a further field must know the requests of the one before.
        fields = {name: value for name, value in asked.items() if name not in NOT_THE_REQUEST}
        # As JSON, in which it came: MessagePack has no numbers over 64 bits, which some field may hold until it is looked at.
        content = msgspec.json.encode([type(question).__name__, fields], order="deterministic")
        return cls(_digest(b"place", owner), _digest(b"content", content), _digest(b"secret", owner), render)

    def check_same(self, content: bytes) -> None:
        """Refuse what was not asked under this key before. Raises: IdempotencyKeyMismatch."""
        if content != self.content:
            raise IdempotencyKeyMismatch

    def kept(self, reply: Reply, number: int, at_us: Micros) -> KeptReply:
        """Return what is kept of a reply."""
        text = msgspec.msgpack.encode((reply.status, reply.body, reply.headers))
        is_short = len(text) <= limits.KEPT_REPLY_BYTES_MAX
        return KeptReply(
            number, self.place, self.content, at_us, self._sealed(text, number, at_us) if is_short else None
        )

    def opened(self, kept: KeptReply) -> Reply:
        """Return the reply that was kept for this request. Raises: IdempotencyKeyMismatch, ReplyNotKept."""
        self.check_same(kept.content)
        if kept.reply is None:
            raise ReplyNotKept
        text = self._sealed(kept.reply, kept.number, kept.at_us)
        return Reply(*msgspec.msgpack.decode(text, type=tuple[int, bytes, dict[str, str]]))

    def _sealed(self, text: bytes, number: int, at_us: Micros) -> bytes:
        """Return the text sealed, or what was sealed open again. No pad is used for two texts."""
        pad = hashlib.shake_256(msgspec.msgpack.encode([self.secret, number, at_us])).digest(len(text))
        return (int.from_bytes(text) ^ int.from_bytes(pad)).to_bytes(len(text))


def as_repeat(reply: Reply) -> Reply:
    """Return a kept reply as it is given to a later sending."""
    return replace(reply, is_repeat=True)


def _digest(purpose: bytes, text: bytes) -> bytes:
    return hashlib.sha256(purpose + b"\0" + text).digest()


@dataclass(slots=True)
class KeptReplies:
    """How many replies a project keeps, and when to look for those that are old enough to forget.

    They are numbered in the order in which they came and forgotten in that order, so that two numbers tell how many there
    are. Age is wall time, since it has to outlast the process; a look is due in monotonic time.
    """

    first: int = 1
    """The number of the oldest one."""
    next: int = 1
    due_s: float = math.inf
    """The monotonic time at which to look for what can be forgotten."""

    def __len__(self) -> int:
        return self.next - self.first

    def check_room(self, now: Now) -> None:
        """Raises: TooManyIdempotencyKeys, where no more can be kept."""
        if len(self) >= limits.KEPT_REPLIES_MAX:
            raise TooManyIdempotencyKeys(max(1.0, self.due_s - now.mono_s))

    def add(self, now: Now) -> int:
        """Count one more, and return its number."""
        number, self.next = self.next, self.next + 1
        if number == self.first:
            self.look_at(now.wall_us, now)
        return number

    def forget(self, last: int, oldest_us: Micros | None, now: Now) -> None:
        """Count those up to a number out; the oldest of the others is from `oldest_us`, or younger than anyone knows."""
        self.first = last + 1
        self.look_at(now.wall_us if oldest_us is None else oldest_us, now)

    def look_at(self, oldest_us: Micros, now: Now) -> None:
        """Look again when the oldest one has been kept for as long as is promised, and a little longer.

        The little while lets many be forgotten at once.
        """
        age_s = (now.wall_us - oldest_us) / SECOND_US
        left_s = max(0.0, limits.REPLY_KEPT_S + limits.FORGET_EVERY_S - age_s)
        self.due_s = now.mono_s + left_s if len(self) else math.inf


def is_forgettable(kept_at_us: Micros, now: Now) -> bool:
    """Tell whether a reply has been kept for as long as is promised."""
    return now.wall_us - kept_at_us >= limits.REPLY_KEPT_S * SECOND_US
