"""The actor: takes a project's commands in order, decides them in memory, stores them, and only then answers.

One batch at a time: what waits in the mailbox is decided together, flushed with one commit, and answered after it,
refusals included. While a batch is being flushed the next one gathers. A storage fault makes the whole batch unknown: the
actor drops its memory, reopens the file, looks, and answers what it finds. Any other error is a bug: it ends this run, the
supervisor starts the next, and the mailbox, which outlives both, knows whose request it was.
Source: design.md 3 (invariants 1, 2, 3, 6, 7), hazards.md 1 to 4.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate
from typing import Any

import apsw
import trio

from intermute.core.agents import Caller
from intermute.core.errors import DomainError, InternalError, OutcomeUnknown, StorageFull, StorageUnavailable
from intermute.core.events import Event
from intermute.core.times import Now
from intermute.project.handlers.liveness import expire_due
from intermute.project.handlers.table import COMMANDS, fact_fetcher
from intermute.project.handlers.turns import Queued
from intermute.project.lobby import let_go
from intermute.project.mail import Request
from intermute.project.project import Project
from intermute.project.state import ProjectState, load_state
from intermute.project.transaction import Facts, Transaction
from intermute.store.faults import FaultKind, StoreFault
from intermute.store.projects import ProjectRow
from intermute.store.writer import Committed
from supervisor import Child, Envelope

_SYSTEM = Caller(is_local=True)
_CLOSE_TIMEOUT_S = 5.0  # seconds; hazards.md 4.


@dataclass(slots=True)
class Decision:
    """One command's outcome, waiting for the commit. Without an envelope it is the actor's own housekeeping."""

    envelope: Envelope[Request, Any] | None  # Any: see ProjectMailbox.
    transaction: Transaction
    reply: object = None
    refusal: DomainError | None = None

    def settle(self) -> None:
        """Give the asker its answer."""
        if self.envelope is None:
            return
        if self.refusal is not None:
            self.envelope.refuse(self.refusal)
        else:
            self.envelope.answer(self.reply)


@dataclass(slots=True)
class Batch:
    """What is decided together and stored with one commit."""

    decisions: list[Decision] = field(default_factory=list)

    @property
    def changes_something(self) -> bool:
        """Tell whether there is anything to store."""
        return any(decision.transaction.statements for decision in self.decisions)

    def events(self, count: int) -> list[Event]:
        """Return the events of the first `count` decisions, in log order."""
        return [event for decision in self.decisions[:count] for event in decision.transaction.events]

    def heads(self, last: int) -> list[int]:
        """Return the log's last cursor before the batch and after each of its decisions; `last` is the last one."""
        counts = [len(decision.transaction.events) for decision in self.decisions]
        return list(accumulate(counts, initial=last - sum(counts)))

    def settle(self, committed: Committed) -> None:
        """Answer everybody, where the first `committed.count` decisions are stored."""
        for decision in self.decisions[: committed.count]:
            decision.settle()
        if committed.culprit is not None:
            culprit, *behind = self.decisions[committed.count :]
            if culprit.envelope is not None:
                culprit.envelope.refuse(InternalError())
            # Those behind the culprit were decided on what it had done to memory; they are not stored.
            _refuse(behind, lambda: StorageUnavailable(1.0), is_sound=False)


def _refuse(decisions: Sequence[Decision], error: Callable[[], DomainError], *, is_sound: bool = True) -> None:
    """Tell askers that their commands are not stored, or may not be.

    A refusal stays what it is, unless it may rest on a change that is not stored: nobody is told of a conflict with a
    reservation that never came to be.
    """
    for decision in decisions:
        if decision.envelope is not None:
            decision.envelope.refuse(decision.refusal if decision.refusal and is_sound else error())
        is_sound = is_sound and not decision.transaction.statements


class DecidedWrong(Exception):
    """A handler decided something that the schema refuses: a bug, whose request ends this run."""


async def run_actor(project: Project, child: Child) -> None:
    """Serve one project until cancelled; the `main` of its supervised child."""
    actor = _Actor(project, child)
    try:
        await actor.open()
        child.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(project.ticker.run, lambda: actor.state)
            await actor.serve()
    finally:
        with trio.move_on_after(_CLOSE_TIMEOUT_S, shield=True):
            await actor.close()


class _Actor:
    """One run of the actor: everything here dies with it, and `Project` has what stays."""

    def __init__(self, project: Project, child: Child) -> None:
        self._project = project
        self._child = child

    @property
    def state(self) -> ProjectState:
        """The project's memory; present from `open` on."""
        assert self._project.state is not None
        return self._project.state

    async def open(self) -> None:
        """Open the file and build the memory. Raises: StoreFault, MigrationRefused, WrongFile."""
        project = self._project
        with self._child.busy("opening", in_thread=True):
            row, applied = await project.writer.open(project.name, project.clock.now().wall_us)
            await project.reader.open()
        project.clock.last_wall_us = max(project.clock.last_wall_us, row.wall_us)
        await self._load(row)
        project.breaker.release_probe()  # The run before may have died with the probe in its hands.
        if row.batch == 0 or applied:
            project.log("project.migrated", project=project.name, migrations=applied)

    async def close(self) -> None:
        """Move the log into the file and close it; a fault here is logged, since nobody waits for an answer."""
        try:
            await self._project.writer.close()
        except StoreFault as fault:
            self._project.log("storage.close_failed", project=self._project.name, fault=str(fault))

    async def _load(self, row: ProjectRow) -> None:
        project = self._project
        load = partial(load_state, row=row, now=project.clock.now(), previous=project.state)
        with self._child.busy("loading", in_thread=True):
            project.state = await project.reader.read(load)
        project.hub.restart(row.head)
        project.lobby.wake()
        # The ticker may be asleep by the memory that is gone.
        project.ticker.note_state(self.state, trio.current_time())

    async def serve(self) -> None:
        """Work the mailbox off, batch by batch."""
        while True:
            envelopes = await self._project.mailbox.take(self._project.batch_max)
            try:
                facts = await self._fetch(envelopes)
            except StoreFault as fault:
                await self._fail_before_commit(envelopes, fault)
                continue
            batch = self._decide(envelopes, facts)
            if batch.changes_something:
                await self._flush(batch)
            else:
                self._let_go_unwanted(batch)
                for decision in batch.decisions:
                    decision.settle()
                self._project.lobby.tell(self.state)

    async def _fetch(self, envelopes: list[Envelope[Request, Any]]) -> Facts:  # Any: see ProjectMailbox.
        facts = Facts()
        wanted = [
            (fetch, envelope.request.command)
            for envelope in envelopes
            if (fetch := fact_fetcher(envelope.request.command)) is not None
        ]

        def work(connection: apsw.Connection) -> None:
            for fetch, command in wanted:
                fetch(connection, command, facts)

        if wanted:
            with self._child.busy("fetching", in_thread=True):
                await self._project.reader.read(work)
        return facts

    async def _fail_before_commit(self, envelopes: list[Envelope[Request, Any]], fault: StoreFault) -> None:
        self._note_fault(fault)
        for envelope in envelopes:
            envelope.refuse(_as_answer(fault))
        await trio.lowlevel.checkpoint()

    def _decide(self, envelopes: list[Envelope[Request, Any]], facts: Facts) -> Batch:
        """Decide every command in order of arrival. No await: nothing may come between two decisions."""
        batch = Batch()
        state = self.state
        now = self._project.clock.now()
        due_s = state.leases.next_deadline_s()
        if due_s is not None and due_s <= now.mono_s:
            housekeeping = self._transaction(_SYSTEM, facts, now)
            expire_due(housekeeping)
            batch.decisions.append(Decision(None, housekeeping))
        for envelope in envelopes:
            envelope.begin()
            transaction = self._transaction(envelope.request.caller, facts, self._project.clock.now())
            decision = Decision(envelope, transaction)
            try:
                decision.reply = COMMANDS[type(envelope.request.command)](envelope.request.command, transaction)
            except DomainError as refusal:
                assert not transaction.statements, "a handler refused after it had changed something"
                decision.refusal = refusal
            envelope.decided()
            batch.decisions.append(decision)
        return batch

    def _transaction(self, caller: Caller, facts: Facts, now: Now) -> Transaction:
        return Transaction(self.state, now, caller, facts, self._project.random_bits)

    async def _flush(self, batch: Batch) -> None:
        project, state = self._project, self.state
        for decision in batch.decisions:
            if decision.envelope is not None:
                decision.envelope.commit_started()
        number = state.batch + 1
        groups = [decision.transaction.statements for decision in batch.decisions]
        heads = batch.heads(state.head)
        try:
            with self._child.busy("committing", in_thread=True):
                committed = await project.writer.commit(
                    groups, heads=heads, batch=number, wall_us=project.clock.last_wall_us
                )
        except StoreFault as fault:
            await self._recover(batch, number, fault)
            return
        # No await from here to the last answer: the batch is stored, and an interruption would leave its askers
        # without an answer and memory without the note that it is stored.
        state.batch = number
        state.stored()
        project.breaker.record_success(trio.current_time())
        self._let_go_unwanted(batch)
        batch.settle(committed)
        project.lobby.tell(state)
        project.hub.publish(batch.events(committed.count), heads[committed.count])
        project.ticker.note_state(state, trio.current_time())
        _end_run_if_wrong(batch, committed)

    def _let_go_unwanted(self, batch: Batch) -> None:
        """Take those out of the queue whose askers have gone before they knew that they wait."""
        for decision in batch.decisions:
            if isinstance(decision.reply, Queued) and decision.envelope is not None and not decision.envelope.is_wanted:
                let_go(self._project, decision.reply.ticket)

    async def _recover(self, batch: Batch, number: int, fault: StoreFault) -> None:
        """Find out what became of a batch whose commit failed, tell its askers, and start over from the disk."""
        self._note_fault(fault)
        try:
            with self._child.busy("looking after a fault", in_thread=True):
                # A full disk stops a commit before its end is written, and would stop the seal as well.
                row = await self._project.writer.look(number, seals=fault.kind is not FaultKind.FULL)
        except StoreFault:
            _refuse(batch.decisions, OutcomeUnknown)
            raise
        is_stored = row.batch == number
        try:
            # Before the answers, so that a read after a reply sees what it says (guarantees.md G5). The hub starts anew
            # at the log's head, so readers get the events from the log.
            await self._load(row)
        finally:
            if is_stored:
                batch.settle(self._project.writer.attempted)
            else:
                _refuse(batch.decisions, partial(_as_answer, fault))
        if is_stored:
            _end_run_if_wrong(batch, self._project.writer.attempted)

    def _note_fault(self, fault: StoreFault) -> None:
        project = self._project
        if fault.kind is not FaultKind.FULL:  # A full disk refuses writes one by one; resting would not free it.
            project.breaker.record_fault(trio.current_time(), str(fault))
        project.last_fault = str(fault)
        project.log("storage.fault", project=project.name, fault=str(fault))


def _end_run_if_wrong(batch: Batch, committed: Committed) -> None:
    if committed.culprit is not None:
        envelope = batch.decisions[committed.count].envelope
        what = type(envelope.request.command).__name__ if envelope else "housekeeping"
        raise DecidedWrong(what) from committed.culprit


def _as_answer(fault: StoreFault) -> DomainError:
    return StorageFull() if fault.kind is FaultKind.FULL else StorageUnavailable()
