"""A batch: what the actor decides together, and what becomes of its askers once it is stored, or is not.

Source: design.md 3.2, guarantees.md G2 and G3.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from intermute.core import limits
from intermute.core.errors import DomainError, StorageUnavailable
from intermute.core.events import Event
from intermute.project.mail import Request
from intermute.project.transaction import Transaction
from intermute.store.writer import Committed
from supervisor import Envelope


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
    size: int = 0
    """Statements to store; one that writes many rows counts as many."""
    suspended_s: float = 0.0
    """For how long the machine was suspended before it, as it tells everyone."""
    chars: int = 0
    """How long their texts are."""

    @property
    def is_large(self) -> bool:
        """Tell whether it is to be stored before more is decided."""
        return self.size >= limits.BATCH_STATEMENTS_MAX or self.chars >= limits.BATCH_CHARS_MAX

    @property
    def changes_something(self) -> bool:
        """Tell whether there is anything to store."""
        return self.size > 0

    def add(self, decision: Decision) -> None:
        """Take in the next decision."""
        self.decisions.append(decision)
        self.size += sum(statement.rows for statement in decision.transaction.statements)
        self.chars += sum(statement.chars for statement in decision.transaction.statements)

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
                culprit.envelope.begin()  # Not stored after all; it ends this run, and the mailbox tells its asker.
            # Those behind the culprit were decided on what it had done to memory; they are not stored.
            refuse_all(behind, lambda: StorageUnavailable(1.0), is_sound=False)


def refuse_all(decisions: Sequence[Decision], error: Callable[[], DomainError], *, is_sound: bool = True) -> None:
    """Tell askers that their commands are not stored, or may not be.

    A refusal stays what it is, unless it may rest on a change that is not stored: nobody is told of a conflict with a
    reservation that never came to be.
    """
    for decision in decisions:
        if decision.envelope is not None:
            decision.envelope.refuse(decision.refusal if decision.refusal and is_sound else error())
        is_sound = is_sound and not decision.transaction.statements
