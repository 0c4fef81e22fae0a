"""What a project should be, said as plainly as possible: lists, and every pattern compared with every other one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from intermute.core import limits
from intermute.core.patterns import overlap, parse

NAMES: Final = ("anna", "ben", "carl")
"""Agents; the first two register at the beginning, the third one is an address that may register later."""
MESSAGE_IDS: Final = ("m1", "m2", "m3")
PATTERNS: Final = (
    "src", "src/**", "src/*.py", "src/a.py", "src/[ab].py", "**/test_*.py", "src/test_x.py", "docs/{a,b}.md", "docs/a.md",
    "docs/c.md", "*", "lib/?",
)  # fmt: skip
SILENCE_S: Final = limits.AGENT_SILENCE_S


@dataclass
class Lease:
    """A reservation in the model."""

    id: str
    holder: str
    patterns: tuple[str, ...]
    is_shared: bool
    fence: int
    deadline_s: float


@dataclass
class Letter:
    """A message in the model; `inboxes` maps each recipient to (is read, is acknowledged)."""

    id: str
    sender: str
    body: str
    cursor: int
    first_cursor: int
    to: tuple[str, ...]
    inboxes: dict[str, tuple[bool, bool]]


@dataclass
class Model:
    """What a project should be. Names stand for agents, since each has one for good."""

    leases: list[Lease] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    heard_s: dict[str, float] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    fences: list[int] = field(default_factory=list)
    replies: dict[str, tuple[object, bytes]] = field(default_factory=dict)
    """By idempotency key: what was asked under it, and the body of the reply."""

    def in_the_way(self, wanted: Sequence[str], asker: str | None, *, is_shared: bool) -> set[str]:
        """Return the ids of what stands in the way, by comparing everything with everything."""
        return {
            lease.id
            for lease in self.leases
            if lease.holder != asker
            and not (is_shared and lease.is_shared)
            and any(overlap(parse(mine), parse(theirs)) for mine in wanted for theirs in lease.patterns)
        }

    def end(self, lease: Lease, how: str) -> None:
        """Let a lease end."""
        self.leases.remove(lease)
        self.ended[lease.id] = how

    def letter(self, message_id: str) -> Letter | None:
        """Return the message of this id."""
        return next((each for each in self.letters if each.id == message_id), None)

    def send(self, sender: str, to: tuple[str, ...], message_id: str, body: str, cursor: int) -> str:
        """Take in a message and return what its sender hears: created, updated, repeated or message_id_taken."""
        known = self.letter(message_id)
        if known is None:
            inboxes = dict.fromkeys(to, (False, False))
            self.letters.append(Letter(message_id, sender, body, cursor, cursor, to, inboxes))
            return "created"
        if known.sender != sender:
            return "message_id_taken"
        if (known.body, known.to) == (body, to):
            return "repeated"
        known.body, known.to, known.cursor = body, to, cursor
        known.inboxes = {**dict.fromkeys(to, (False, False)), **known.inboxes}
        return "updated"

    def mark(self, name: str, message_id: str, *, is_ack: bool) -> tuple[bool, bool] | str:
        """Mark a message and return whether it is read and acknowledged now, or the code of the refusal."""
        letter = self.letter(message_id)
        if letter is None:
            return "unknown_message"
        if name not in letter.inboxes:
            return "not_a_recipient"
        was_read, was_acked = letter.inboxes[name]
        letter.inboxes[name] = (was_read or not is_ack, was_acked or is_ack)
        return letter.inboxes[name]

    def let_time_do(self, mono_s: float) -> None:
        """End what is due, and then what the silent hold."""
        for lease in [lease for lease in self.leases if lease.deadline_s <= mono_s]:
            self.end(lease, "expired")
        for lease in [lease for lease in self.leases if mono_s - self.heard_s.get(lease.holder, math.inf) >= SILENCE_S]:
            self.end(lease, "owner_stale")

    def next_event_s(self) -> float:
        """Return when time does something next."""
        return min(
            [lease.deadline_s for lease in self.leases]
            + [self.heard_s[lease.holder] + SILENCE_S for lease in self.leases if lease.holder in self.heard_s],
            default=math.inf,
        )

    def restart(self, mono_s: float) -> None:
        """Give everyone who holds something, and everyone who was live, a minute at least."""
        for lease in self.leases:
            lease.deadline_s = max(lease.deadline_s, mono_s + limits.RESTART_GRACE_S)
