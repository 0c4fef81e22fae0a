"""One request on its way through a mailbox: how far it got, and the one outcome it has.

Rule: an envelope is settled exactly once. What a crash does to it depends on its phase alone (see `Mailbox.end_run`).
"""

import math
from collections.abc import Hashable
from enum import StrEnum
from typing import Generic, TypeVar

import trio

Req = TypeVar("Req")
Rep = TypeVar("Rep")


class MailboxError(Exception):
    """Base of everything a mailbox itself tells an asker."""


class MailboxFull(MailboxError):
    """No room, or none for this share; nothing was queued. What comes now would wait for about `delay_s`."""

    def __init__(self, name: str, capacity: int, *, is_share: bool = False, delay_s: float = 0.0) -> None:
        whose = "of one share than it may hold" if is_share else "than it may hold"
        super().__init__(f"mailbox {name!r} ({capacity} places) would have more requests waiting {whose}")
        self.name, self.capacity, self.is_share, self.delay_s = name, capacity, is_share, delay_s


class MailboxClosed(MailboxError):
    """Nobody serves this mailbox now; the request was not run."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"mailbox {name!r} is closed: {reason}")
        self.name, self.reason = name, reason


class AskTimeout(MailboxError):
    """No answer within the deadline. If `was_taken` is False the request was not run and never will be."""

    def __init__(self, name: str, timeout_s: float, *, was_taken: bool) -> None:
        how = "outcome unknown" if was_taken else "never begun"
        super().__init__(f"mailbox {name!r} gave no answer within {timeout_s:g} s ({how})")
        self.name, self.timeout_s, self.was_taken = name, timeout_s, was_taken


class RequestCrashed(MailboxError):
    """The request brought its run down; it is not run again."""

    def __init__(self, name: str, error_text: str) -> None:
        super().__init__(f"a request to {name!r} ended its run: {error_text}")
        self.name, self.error_text = name, error_text


class RequestLost(MailboxError):
    """The run ended after the point of no return and before the answer: the outcome is unknown."""

    def __init__(self, name: str) -> None:
        super().__init__(f"a run of {name!r} ended between commit and answer: outcome unknown")
        self.name = name


class Phase(StrEnum):
    """How far an envelope got."""

    WAITING = "waiting"
    TAKEN = "taken"
    BEGUN = "begun"
    DECIDED = "decided"
    COMMITTING = "committing"
    SETTLED = "settled"


class Envelope(Generic[Req, Rep]):
    """A request, and the way back to whoever asked.

    The owner of the mailbox calls `begin`, `decided`, `commit_started` and one of `answer` and `refuse`, on told
    requests too: an envelope that is not settled is run again after a crash. `take`, `wait_again`, `abandon` and
    `settle` are the mailbox's.
    """

    __slots__ = (
        "_error", "_is_abandoned", "_settled", "asked_at_s", "deadline_s", "is_control", "phase", "reply", "request", "share",
    )  # fmt: skip

    def __init__(
        self, request: Req, deadline_s: float, *, is_control: bool = False, share: Hashable | None = None
    ) -> None:
        self.request = request
        self.share = share
        self.asked_at_s = trio.current_time()
        self.deadline_s = deadline_s  # math.inf: told, nobody waits.
        self.is_control = is_control
        self.phase = Phase.WAITING
        self._is_abandoned = False
        self.reply: tuple[Rep] | None = None
        """What the owner has answered, if it has."""
        self._error: Exception | None = None
        self._settled = trio.Event()

    @property
    def is_wanted(self) -> bool:
        """Tell whether somebody still profits: the asker waits and its deadline is ahead, or it was told."""
        return self.phase is not Phase.SETTLED and not self._is_abandoned and trio.current_time() < self.deadline_s

    @property
    def is_told(self) -> bool:
        """Tell whether nobody waits for an answer."""
        return self.deadline_s == math.inf

    # ---- the owner's part

    def begin(self) -> None:
        """Say that this one is being executed now: if the run crashes, it is the culprit."""
        self._advance(Phase.BEGUN)

    def decided(self) -> None:
        """Say that it is decided and not yet applied: after a crash it is queued again, in its old place."""
        self._advance(Phase.DECIDED)

    def commit_started(self) -> None:
        """Say that it may be applied from now on: after a crash the asker is told that the outcome is unknown."""
        self._advance(Phase.COMMITTING)

    def answer(self, value: Rep) -> None:
        """Settle it with a reply; an asker that has gone does not mind."""
        self._assert_taken()
        self.reply = (value,)
        self._settle()

    def refuse(self, error: Exception) -> None:
        """Settle it with an error, raised in the asker's task. Each envelope needs an error object of its own."""
        self._assert_taken()
        self._error = error
        self._settle()

    # ---- the mailbox's part

    def take(self) -> None:
        """Hand it out."""
        assert self.phase is Phase.WAITING, f"taken while {self.phase}"
        self.phase = Phase.TAKEN

    def wait_again(self) -> None:
        """Put it back to where it was before it was taken."""
        self._assert_taken()
        self.phase = Phase.WAITING

    def abandon(self) -> None:
        """Mark that the asker has gone."""
        self._is_abandoned = True

    def settle(self, error: MailboxError) -> None:
        """Settle it with the mailbox's own verdict, taken or not."""
        assert self.phase is not Phase.SETTLED, "settled twice"
        self._error = error
        self._settle()

    async def wait_settled(self) -> None:
        """Wait until it is settled."""
        await self._settled.wait()

    def outcome(self) -> Rep:
        """Return the reply or raise the error; once, after it was settled."""
        assert self.phase is Phase.SETTLED, "no outcome yet"
        if self.reply is not None:
            return self.reply[0]
        error, self._error = self._error, None
        assert error is not None, "the outcome was fetched before"
        try:
            raise error
        finally:
            del error  # Otherwise error, traceback and frame form a cycle for each refusal.

    def _advance(self, phase: Phase) -> None:
        self._assert_taken()
        self.phase = phase

    def _assert_taken(self) -> None:
        assert self.phase is not Phase.WAITING, "not taken, or queued again by the end of its run"
        assert self.phase is not Phase.SETTLED, "settled before"

    def _settle(self) -> None:
        self.phase = Phase.SETTLED
        self._settled.set()
