"""The ticker: sleeps until the project's next deadline, then has the actor do what is due."""

import math
from collections.abc import Callable

import trio

from intermute.core import limits
from intermute.core.agents import Caller
from intermute.core.errors import DomainError
from intermute.project.handlers.liveness import Tick, next_deadline_s
from intermute.project.mail import ProjectMailbox, Request
from intermute.project.state import ProjectState
from supervisor import MailboxError

_SYSTEM = Caller(is_local=True)
_RETRY_S = 1.0  # seconds after a tick that could not be done: a full disk or mailbox is not helped by hurry. A guess.
_TICK_TIMEOUT_S = 30.0  # seconds; longer than any flush that is not stuck.


class Ticker:
    """One project's alarm clock."""

    def __init__(self, mailbox: ProjectMailbox) -> None:
        self._mailbox = mailbox
        self._flushed_s = -math.inf
        self._wakes_at_s = math.inf
        self._nudge = trio.Event()

    def note_deadline(self, mono_s: float) -> None:
        """Make sure that the ticker is awake at this monotonic time at the latest."""
        if mono_s < self._wakes_at_s:
            self._wakes_at_s = mono_s
            self._nudge.set()

    def note_state(self, state: ProjectState, mono_s: float) -> None:
        """Take in what a batch may have brought forward, without looking at every holder."""
        if (lease_s := state.leases.next_deadline_s()) is not None:
            self.note_deadline(min(lease_s, mono_s + limits.AGENT_SILENCE_S))
        for deadline_s in (state.waiting.next_end_s(), state.intents.next_deadline_s()):
            if deadline_s is not None:
                self.note_deadline(min(deadline_s, mono_s + limits.AGENT_SILENCE_S))
        if len(state.task_claims):
            self.note_deadline(mono_s + limits.AGENT_SILENCE_S)
        if state.unflushed_heartbeats:
            self.note_deadline(mono_s + limits.LIVENESS_FLUSH_S)
        self.note_deadline(state.kept.due_s)

    async def run(self, state: Callable[[], ProjectState]) -> None:
        """Tick until cancelled. `state` returns the actor's memory, which a storage fault replaces."""
        self._flushed_s = trio.current_time()
        while True:
            self._wakes_at_s = self._next_s(state())
            self._nudge = trio.Event()
            with trio.move_on_at(self._wakes_at_s):
                await self._nudge.wait()
                continue  # An earlier deadline came in: look again.
            now_s = trio.current_time()
            await self._tick(
                Tick(
                    flushes_heartbeats=now_s >= self._flushed_s + limits.LIVENESS_FLUSH_S,
                    forgets_replies=now_s >= state().kept.due_s,
                )
            )

    def _next_s(self, state: ProjectState) -> float:
        found = next_deadline_s(state, self._flushed_s)
        return math.inf if found is None else found

    async def _tick(self, tick: Tick) -> None:
        # It asks rather than tells: until the tick is done its deadline stays due, and telling would loop.
        try:
            await self._mailbox.ask(Request(tick, _SYSTEM), timeout_s=_TICK_TIMEOUT_S)
        except (DomainError, MailboxError):
            await trio.sleep(_RETRY_S)  # The actor has logged the fault; what is due stays due.
        else:
            if tick.flushes_heartbeats:
                self._flushed_s = trio.current_time()
