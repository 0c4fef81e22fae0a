"""The bounded queue in front of a child; it belongs to the child's spec and outlives its runs (hazards.md 27, 28).

Rules: nobody waits for room, and none of those who share it can take all of it (`waiting_line`); whoever asks hears exactly
one outcome before its deadline; a request whose asker has gone is not run; a request that brought its run down is not run
again; what was merely taken keeps its place.

No await stands between a change of the queue and the end of the method: each method but `ask` and `take` is
synchronous, and these two change the queue in one step.
"""

import math
from collections import deque
from collections.abc import Callable, Hashable
from typing import Final, Generic

import trio

from supervisor.envelope import (
    AskTimeout,
    Envelope,
    MailboxClosed,
    MailboxFull,
    Phase,
    Rep,
    Req,
    RequestCrashed,
    RequestLost,
)
from supervisor.error_text import error_text
from supervisor.waiting_line import WaitingLine

CONTROL_MAX: Final = 16  # requests of `tell_first` that may wait; a guess: a handful of kinds, sent rarely.


class Mailbox(Generic[Req, Rep]):
    """A bounded queue of requests with answers; many askers, one owner."""

    def __init__(
        self, capacity: int, name: str, *, reserve: int = 0, on_culprit: Callable[[Req], bool] | None = None
    ) -> None:
        """Make an empty mailbox.

        Args:
            reserve: further places, for requests that are asked with `is_needed`.
            on_culprit: told of each request that brought its run down, whether or not its asker still waits. It answers
                whether it sees to it that the request is not asked without end; see `ChildSpec.max_blamed_restarts`.
        """
        assert capacity >= 1, "a mailbox has room for one"
        self.capacity, self.name = capacity, name
        self._on_culprit = on_culprit
        self._control: deque[Envelope[Req, Rep]] = deque()
        self._waiting: WaitingLine[Req, Rep] = WaitingLine(capacity, reserve)
        self._last_wait_s = 0.0
        self._taken: list[Envelope[Req, Rep]] = []
        self._closed_reason: str | None = None
        self._takers = trio.lowlevel.ParkingLot()

    @property
    def depth(self) -> int:
        """Count the requests that wait to be taken."""
        return len(self._control) + len(self._waiting)

    @property
    def delay_s(self) -> float:
        """Return about how long a request waits now: as long as those that were taken last, or that wait for the longest."""
        return max(self._last_wait_s, self._waiting.oldest_s()) if self._waiting else 0.0

    # ---- the askers' part

    async def ask(
        self,
        request: Req,
        *,
        timeout_s: float,
        share: Hashable | None = None,
        is_needed: bool = False,
        on_unheard: Callable[[Rep], None] | None = None,
    ) -> Rep:
        """Queue the request and return the owner's answer.

        Args:
            share: whose part of the room it takes; None takes any free place.
            is_needed: it may use the reserve.
            on_unheard: told of a reply that came in the very step in which the asker was cancelled: the owner took it for
                heard, and nobody has it.

        Raises (always one error, never a group, since there is no nursery here):
            MailboxFull, MailboxClosed: at once; the request was not run. MailboxClosed also later, on park and stop.
            AskTimeout: the deadline passed; see `was_taken`.
            RequestCrashed: the request brought its run down and is not run again.
            RequestLost: the run ended after `commit_started`; the outcome is unknown.
            Exception: whatever the owner gave to `Envelope.refuse`.

        Cancellation: a request that waits is withdrawn; a taken one turns unwanted, and a reply may go to `on_unheard`.
        """
        assert timeout_s >= 0, "a deadline lies ahead"
        envelope: Envelope[Req, Rep] = Envelope(request, trio.current_time() + timeout_s, share=share)
        assert not envelope.is_told, "a deadline is finite"
        self._put(envelope, is_needed=is_needed)
        is_awake = False
        try:
            with trio.move_on_at(envelope.deadline_s):
                await envelope.wait_settled()
            is_awake = True
            if envelope.phase is not Phase.SETTLED:
                raise AskTimeout(self.name, timeout_s, was_taken=envelope.phase is not Phase.WAITING)
            return envelope.outcome()
        finally:
            envelope.abandon()
            self._waiting.remove(envelope)
            if not is_awake and on_unheard is not None and (reply := envelope.reply) is not None:
                on_unheard(reply[0])

    def tell(self, request: Req) -> None:
        """Queue a request that nobody waits for.

        Raises: MailboxFull, MailboxClosed.
        """
        self._put(Envelope(request, math.inf))

    def tell_first(self, request: Req) -> None:
        """Queue a control message before all requests, in the order of control messages; it has room of its own.

        Raises: MailboxFull (`CONTROL_MAX` wait), MailboxClosed.
        """
        self._put(Envelope(request, math.inf, is_control=True))

    # ---- the owner's part

    async def take(self, max_items: int) -> list[Envelope[Req, Rep]]:
        """Wait for a wanted request and return up to `max_items` in order of arrival, control messages first.

        Where more are waiting, the shares take turns for the places among those returned. Always a checkpoint. Settle every
        envelope, told ones too (see `Envelope`).

        Cancellation: nothing was taken.
        """
        assert max_items >= 1, "take at least one"
        self._taken = [envelope for envelope in self._taken if envelope.phase is not Phase.SETTLED]
        assert len(self._taken) <= self.capacity + max_items, "the owner takes requests and does not settle them"
        await trio.lowlevel.checkpoint()
        # No await from a successful `_pop_wanted` to the return: what was popped would be lost.
        while not (batch := self._pop_wanted(max_items)):
            await self._takers.park()
        return batch

    # ---- the supervisor's part

    def end_run(self, error: BaseException | None) -> bool:
        """Sort out what the ended run had taken and not settled; tell whether a request is to blame for its end.

        Past the point of no return: RequestLost. Begun, when the run crashed: RequestCrashed, and never run again.
        All others go back to the front in their old order, or hear MailboxClosed if the mailbox is closed.

        Args:
            error: what the run died of; None if it was cancelled or returned.
        """
        again: list[Envelope[Req, Rep]] = []
        is_blamed = False
        for envelope in self._taken:
            if envelope.phase is Phase.SETTLED:
                continue
            if envelope.phase is Phase.COMMITTING:
                envelope.settle(RequestLost(self.name))
            elif envelope.phase is Phase.BEGUN and error is not None:
                envelope.settle(RequestCrashed(self.name, error_text(error)))
                is_blamed = is_blamed or (self._on_culprit is not None and self._on_culprit(envelope.request))
            elif self._closed_reason is not None and not envelope.is_told:
                envelope.settle(MailboxClosed(self.name, self._closed_reason))
            elif envelope.is_wanted:
                again.append(envelope)
        self._taken = []
        self._requeue(again)
        return is_blamed

    def close(self, reason: str) -> None:
        """Answer every waiting asker with MailboxClosed and refuse new requests with the same reason until `reopen`.

        Told requests stay: nobody could be told that they are lost.
        """
        self._closed_reason = reason
        for envelope in [envelope for envelope in self._waiting if not envelope.is_told]:
            self._waiting.remove(envelope)
            envelope.settle(MailboxClosed(self.name, reason))

    def reopen(self) -> None:
        """Take requests again."""
        self._closed_reason = None

    # ---- inside

    def _put(self, envelope: Envelope[Req, Rep], *, is_needed: bool = False) -> None:
        if self._closed_reason is not None:
            raise MailboxClosed(self.name, self._closed_reason)
        if envelope.is_control:
            if len(self._control) >= CONTROL_MAX:
                raise MailboxFull(self.name, CONTROL_MAX)
            self._control.append(envelope)
        elif not self._waiting.add(envelope, is_needed=is_needed):
            is_share = not self._waiting.room.is_full
            raise MailboxFull(self.name, self.capacity, is_share=is_share, delay_s=self.delay_s)
        self._takers.unpark()

    def _pop_wanted(self, max_items: int) -> list[Envelope[Req, Rep]]:
        batch = [self._control.popleft() for _ in range(min(max_items, len(self._control)))]
        waited = self._waiting.pop(max_items - len(batch))
        if waited:
            self._last_wait_s = trio.current_time() - waited[0].asked_at_s
        batch += waited
        for envelope in batch:
            envelope.take()
        self._taken += batch
        return batch

    def _requeue(self, envelopes: list[Envelope[Req, Rep]]) -> None:
        # This may exceed the capacity by one batch; then new requests are refused until it is worked off.
        for envelope in reversed(envelopes):
            envelope.wait_again()
            if envelope.is_control:
                self._control.appendleft(envelope)
            else:
                self._waiting.add_first(envelope)
        if envelopes:
            self._takers.unpark()
