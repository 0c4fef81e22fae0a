"""The actor: takes a project's commands in order, decides them in memory, stores them, and only then answers.

One batch at a time: what waits in the mailbox is decided together, flushed with one commit, and answered after it,
refusals included. While a batch is being flushed the next one gathers. A storage fault makes the whole batch unknown: the
actor drops its memory, reopens the file, looks, and answers what it finds. Any other error is a bug: it ends this run, the
supervisor starts the next, and the mailbox, which outlives both, knows whose request it was.
Source: design.md 3 (invariants 1, 2, 3, 6, 7), hazards.md 1 to 4.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import apsw
import trio

from intermute.core.agents import Caller
from intermute.core.errors import (
    DomainError,
    OutcomeUnknown,
    Poisoned,
    ProjectQuarantined,
    StorageFull,
    StorageUnavailable,
    TooSlow,
)
from intermute.core.events import EventType
from intermute.core.times import Now
from intermute.project.batch import Batch, Decision, refuse_all
from intermute.project.deciding import decide, facts_of, fetch_facts, is_repeat, needs_facts
from intermute.project.handlers.liveness import Tick, expire_due
from intermute.project.handlers.resuming import resume
from intermute.project.handlers.turns import Queued
from intermute.project.lobby import let_go
from intermute.project.mail import Request
from intermute.project.project import Project
from intermute.project.retention import keep_trimming
from intermute.project.room import MakeRoom
from intermute.project.state import ProjectState, load_state
from intermute.project.transaction import Facts, Transaction
from intermute.store.faults import FaultKind, StoreFault
from intermute.store.projects import ProjectRow
from intermute.store.writer import Committed
from supervisor import Child, Envelope

_HOUSEKEEPING = Request(Tick(), Caller(is_local=True))
_HOLDS_LOOP_MAX_S = 0.02  # seconds of deciding after which the others on the loop get their turn. A guess.
_DECIDES_MAX_S = (
    0.5  # seconds of deciding after which a batch is stored, so that the first do not wait for the last. A guess.
)
_CLOSE_TIMEOUT_S = 5.0  # seconds; hazards.md 4.


class DecidedWrong(Exception):
    """A handler decided something that the schema refuses: a bug, whose request ends this run."""


async def run_actor(project: Project, child: Child) -> None:
    """Serve one project until cancelled; the `main` of its supervised child."""
    project.child = child
    actor = _Actor(project, child)
    try:
        await actor.open()
        child.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(project.ticker.run, lambda: actor.state)
            nursery.start_soon(keep_trimming, project)
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
        is_new = not project.path.exists()
        try:
            row, applied = await self._open_files()
        except StoreFault as fault:
            if fault.kind is not FaultKind.FULL:
                raise
            project.room.note_full(str(fault))
            if is_new:
                raise
            # A file that is there can be read in 32 KiB, for the index of its log.
            async with project.room.lent():
                row, applied = await self._open_files()
        project.clock.last_wall_us = max(project.clock.last_wall_us, row.wall_us)
        await self._load(row)
        project.breaker.release_probe()  # The run before may have died with the probe in its hands.
        if row.batch == 0 or applied:
            project.log("project.migrated", project=project.name, migrations=applied)

    async def _open_files(self) -> tuple[ProjectRow, list[int]]:
        project = self._project
        with self._noting_damage(), self._child.busy("opening", in_thread=True):
            opened = await project.writer.open(project.name, project.clock.now().wall_us)
            await project.reader.open()
        return opened

    async def close(self) -> None:
        """Move the log into the file and close it; a fault here is logged, since nobody waits for an answer."""
        try:
            await self._project.writer.close(is_damaged=self._project.damage is not None)
        except StoreFault as fault:
            self._project.log("storage.close_failed", project=self._project.name, fault=str(fault))

    async def _load(self, row: ProjectRow) -> None:
        project = self._project
        load = partial(load_state, row=row, now=project.clock.now(), previous=project.state)
        with self._noting_damage(), self._child.busy("loading", in_thread=True):
            project.state = await project.writer.read(load)
        project.hub.restart(row.head)
        project.lobby.wake()
        # The ticker may be asleep by the memory that is gone.
        project.ticker.note_state(self.state, trio.current_time())

    async def serve(self) -> None:
        """Work the mailbox off, batch by batch."""
        while True:
            # Handed on without a name, which would keep a batch alive until the next one comes.
            await self._work_off(await self._project.mailbox.take(self._project.batch_max))

    async def _work_off(self, envelopes: Sequence[Envelope[Request, Any]]) -> None:  # Any: see ProjectMailbox.
        """Decide, store and answer what was taken together: in one batch, or in several where one would take too long."""
        sound = self._without_poison(envelopes)
        waiting = deque([envelope for envelope in sound if not isinstance(envelope.request.command, MakeRoom)])
        if len(waiting) < len(sound):
            await self._make_room([each for each in sound if isinstance(each.request.command, MakeRoom)])
        while waiting:
            try:
                facts = await self._fetch(waiting)
            except StoreFault as fault:
                await self._fail_before_commit(waiting, fault)
                return
            is_sound = True
            while waiting and is_sound:
                # What a batch decides is in the facts as well; after a fault they may say what is not on the disk.
                is_sound = await self._store(await self._decide(waiting, facts))

    def _without_poison(
        self,
        envelopes: Sequence[Envelope[Request, Any]],  # Any: see ProjectMailbox.
    ) -> list[Envelope[Request, Any]]:
        """Refuse those that became poison while they were waiting: of many equal ones only the first few may crash."""
        sound = []
        for envelope in envelopes:
            if self._project.is_poison(envelope.request):
                envelope.refuse(Poisoned())
            else:
                sound.append(envelope)
        return sound

    async def _make_room(self, envelopes: Sequence[Envelope[Request, Any]]) -> None:  # Any: see ProjectMailbox.
        for envelope in envelopes:
            envelope.begin()
        try:
            with self._child.busy("checkpointing", in_thread=True):
                is_done = await self._project.writer.checkpoint()
        except StoreFault as fault:
            if fault.kind is not FaultKind.FULL:
                raise  # The flush may have failed, and nothing is tried again on such a connection.
            is_done = False
        for envelope in envelopes:
            envelope.answer(is_done)

    async def _store(self, batch: Batch) -> bool:
        if batch.changes_something:
            return await self._flush(batch)
        self._let_go_unwanted(batch)
        for decision in batch.decisions:
            decision.settle()
        self._project.lobby.tell(self.state)
        return True

    async def _fetch(self, envelopes: Iterable[Envelope[Request, Any]]) -> Facts:  # Any: see ProjectMailbox.
        facts = facts_of((envelope.request for envelope in envelopes), self.state)
        wanted = [envelope for envelope in envelopes if needs_facts(envelope.request)]
        fetching: list[Envelope[Request, Any]] = []  # At most one; it stays if fetching for it fails. Any: as above.

        def work(connection: apsw.Connection) -> None:
            for envelope in wanted:
                fetching[:] = [envelope]
                fetch_facts(connection, envelope.request, facts)
            fetching.clear()

        try:
            if wanted:
                with self._child.busy("fetching", in_thread=True):
                    # On the writer's connection, which has nothing to do now: a client's slow read must not delay writes.
                    await self._project.writer.read(work)
        finally:
            for envelope in fetching:
                envelope.begin()  # Not by the thread that fetched: without a culprit the next run would take them all again.
        return facts

    async def _fail_before_commit(self, envelopes: Iterable[Envelope[Request, Any]], fault: StoreFault) -> None:
        self._note_fault(fault)
        for envelope in envelopes:
            envelope.refuse(_as_answer(fault))
        await trio.lowlevel.checkpoint()

    async def _decide(self, waiting: deque[Envelope[Request, Any]], facts: Facts) -> Batch:
        """Decide commands in order of arrival, taking them from `waiting` until the batch is full or has taken long.

        Nothing that decides may come between two decisions. Readers may, once these have held the loop for long enough:
        to them a half decided batch is like one that is being flushed, and a heartbeat counts from the next decision on.

        Cancellation: noticed at the commit, never half way through a batch.
        """
        batch = Batch()
        is_full = self._project.room.is_full
        if not is_full:
            self._resume(batch, facts)
            self._expire(batch, facts)
        began_s = held_since_s = trio.current_time()  # After it: each round decides one command at least.
        while waiting and not batch.is_large:
            if trio.current_time() - held_since_s >= _HOLDS_LOOP_MAX_S:
                if trio.current_time() - began_s >= _DECIDES_MAX_S:
                    break
                await trio.lowlevel.cancel_shielded_checkpoint()
                held_since_s = trio.current_time()
            envelope = waiting.popleft()
            if is_full and not is_repeat(envelope.request, facts):
                envelope.refuse(StorageFull())
            elif envelope.is_wanted:
                batch.add(self._decide_one(envelope, facts))
            else:
                envelope.refuse(TooSlow())  # Its asker has given up meanwhile (guarantees.md G14).
        return batch

    def _resume(self, batch: Batch, facts: Facts) -> None:
        # Before anything else is decided, and above all before anybody is found silent.
        if (suspended_s := self._project.clock.suspended_s()) > 0:
            housekeeping = self._transaction(_HOUSEKEEPING, facts, self._project.clock.now())
            resume(suspended_s, housekeeping)
            batch.suspended_s = suspended_s
            batch.add(Decision(None, housekeeping))

    def _expire(self, batch: Batch, facts: Facts) -> None:
        now = self._project.clock.now()
        if self._project.breaker.is_probing:
            # It is stored if the probe is, and otherwise not: the one word of the breaker that its log can hold.
            recovery = self._transaction(_HOUSEKEEPING, facts, now)
            rested = self._project.breaker.snapshot(now.mono_s)
            recovery.emit(
                EventType.PROJECT_STORAGE_RECOVERED, {"openings": rested.openings, "last_fault": rested.last_fault}
            )
            batch.add(Decision(None, recovery))
        due_s = self.state.leases.next_deadline_s()
        if due_s is not None and due_s <= now.mono_s:
            housekeeping = self._transaction(_HOUSEKEEPING, facts, now)
            expire_due(housekeeping)
            batch.add(Decision(None, housekeeping))

    def _decide_one(self, envelope: Envelope[Request, Any], facts: Facts) -> Decision:
        envelope.begin()
        transaction = self._transaction(envelope.request, facts, self._project.clock.now())
        decision = Decision(envelope, transaction)
        try:
            decision.reply = decide(envelope.request, transaction)
        except DomainError as refusal:
            assert not transaction.statements, "a handler refused after it had changed something"
            # Its traceback holds this frame, which holds it: the command would live until a collection of cycles.
            decision.refusal = refusal.with_traceback(None)
        envelope.decided()
        return decision

    def _transaction(self, request: Request, facts: Facts, now: Now) -> Transaction:
        return Transaction(self.state, now, request.caller, facts, self._project.random_bits, request.once)

    async def _flush(self, batch: Batch) -> bool:
        """Store and answer; tell whether memory has been kept, and with it what was decided."""
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
            return False
        # No await from here to the last answer: the batch is stored, and an interruption would leave its askers
        # without an answer and memory without the note that it is stored.
        state.batch = number
        state.stored()
        state.note_unread(committed.unread)
        project.clock.note_suspension(batch.suspended_s)
        self._note_success()
        self._let_go_unwanted(batch)
        batch.settle(committed)
        project.lobby.tell(state)
        project.hub.publish(batch.events(committed.count), heads[committed.count])
        project.ticker.note_state(state, trio.current_time())
        _end_run_if_wrong(batch, committed)
        return True

    def _let_go_unwanted(self, batch: Batch) -> None:
        """Take those out of the queue whose askers have gone before they knew that they wait."""
        for decision in batch.decisions:
            if isinstance(decision.reply, Queued) and decision.envelope is not None and not decision.envelope.is_wanted:
                let_go(self._project, decision.reply.ticket)

    async def _recover(self, batch: Batch, number: int, fault: StoreFault) -> None:
        """Find out what became of a batch whose commit failed, tell its askers, and start over from the disk."""
        self._note_fault(fault)
        try:
            with self._noting_damage(), self._child.busy("looking after a fault", in_thread=True):
                # A full disk stops a commit before its end is written, and would stop the seal as well.
                row = await self._project.writer.look(number, seals=not fault.is_cut_short)
        except StoreFault:
            refuse_all(batch.decisions, OutcomeUnknown)
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
                refuse_all(batch.decisions, partial(_as_answer, fault))
        if is_stored:
            _end_run_if_wrong(batch, self._project.writer.attempted)

    @contextmanager
    def _noting_damage(self) -> Iterator[None]:
        try:
            yield
        except StoreFault as fault:
            self._project.note_fault(fault)
            raise

    def _note_success(self) -> None:
        project, now_s = self._project, trio.current_time()
        was = project.breaker.state(now_s)
        project.breaker.record_success(now_s)
        if was is not project.breaker.state(now_s):
            project.log("breaker.closed", project=project.name, openings=project.breaker.snapshot(now_s).openings)

    def _note_fault(self, fault: StoreFault) -> None:
        project, now_s = self._project, trio.current_time()
        project.note_fault(fault)
        project.log("storage.fault", project=project.name, fault=str(fault))
        if fault.kind is FaultKind.FULL:
            project.room.note_full(str(fault))
            return  # A rest would not free a full disk.
        was = project.breaker.snapshot(now_s).openings
        project.breaker.record_fault(now_s, str(fault))
        found = project.breaker.snapshot(now_s)
        if found.openings > was:
            rests_s = round(found.retry_after_s, 1)
            project.log(
                "breaker.opened", project=project.name, openings=found.openings, rests_s=rests_s, fault=str(fault)
            )


def _end_run_if_wrong(batch: Batch, committed: Committed) -> None:
    if committed.culprit is not None:
        envelope = batch.decisions[committed.count].envelope
        what = type(envelope.request.command).__name__ if envelope else "housekeeping"
        raise DecidedWrong(what) from committed.culprit


def _as_answer(fault: StoreFault) -> DomainError:
    if fault.kind is FaultKind.CORRUPT:
        return ProjectQuarantined()
    return StorageFull() if fault.kind is FaultKind.FULL else StorageUnavailable()
