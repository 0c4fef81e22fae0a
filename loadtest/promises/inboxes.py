"""Every acknowledged message is in the inbox of each of its recipients, once and in order, and nowhere else.

A blind copy is known to its own recipient alone: the message is in no other inbox for its sake, and no other reader is shown
the name. A message without an answer may have been stored or not; if it was, then for all of its recipients.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from loadtest.promises.history import History, Violation

PROMISE: Final = "every acknowledged message is in each inbox once"
SHOWN_MAX: Final = 3  # messages named in an explanation.
_NOWHERE: Final = 0


class Row(NamedTuple):
    """What an inbox shows of a message."""

    message: str
    cursor: int
    kind: str
    """`to`, `cc` or `bcc`."""
    bcc: tuple[str, ...] = ()
    """The blind copies that this reader is shown."""


@dataclass(slots=True)
class _Sent:
    """A message, and where it belongs."""

    sender: str
    kinds: dict[str, str]
    thread: str
    cursor: int = _NOWHERE


class Inboxes:
    """What was sent, by message id."""

    promise = PROMISE

    def __init__(self, history: History) -> None:
        self._history = history
        self._sent: dict[str, _Sent] = {}
        self.checked = 0

    def sending(
        self,
        at_s: float,
        sender: str,
        message: str,
        *,
        to: Iterable[str],
        cc: Iterable[str] = (),
        bcc: Iterable[str] = (),
        thread: str = "",
    ) -> None:
        """Note a message that is about to be sent, or sent once more because the first time had no answer."""
        kinds = {name: kind for kind, names in (("to", to), ("cc", cc), ("bcc", bcc)) for name in names}
        self._history.note(at_s, sender, message, f"sends to {len(kinds)} recipients")
        self._sent.setdefault(message, _Sent(sender, kinds, thread))

    def acknowledged(self, at_s: float, message: str, cursor: int) -> None:
        """Note that the service said that a message is stored, and where. Raises: Violation."""
        sent = self._sent[message]
        self._history.note(at_s, sent.sender, message, f"was told that it is stored as {cursor}")
        if sent.cursor not in (_NOWHERE, cursor):
            self._fail(f"{message} was stored as {sent.cursor}, and then as {cursor}", [message])
        sent.cursor = cursor

    def demand(self, listed: Mapping[str, Sequence[Row]]) -> None:
        """Hold the inboxes, each whole, against what was sent to them. Raises: Violation."""
        wanted: dict[str, dict[str, _Sent]] = {reader: {} for reader in listed}
        for message, sent in self._sent.items():
            for reader in sent.kinds.keys() & wanted.keys():
                wanted[reader][message] = sent
        for reader, rows in listed.items():
            self._demand_inbox(reader, rows, wanted[reader])
        self._demand_whole(listed)

    def demand_thread(self, thread: str, listed: Sequence[str]) -> None:
        """Hold the messages of a thread, all of which have an answer, against what was sent. Raises: Violation."""
        sent = [(each.cursor, message) for message, each in self._sent.items() if each.thread == thread]
        wanted = [message for cursor, message in sorted(sent) if cursor != _NOWHERE]
        known = [message for message in listed if message not in self._sent or self._sent[message].cursor != _NOWHERE]
        self.checked += len(wanted)
        if known != wanted:
            odd = set(known) ^ set(wanted) or {a for a, b in zip(known, wanted, strict=False) if a != b}
            self._fail(f"the thread {thread} has {len(known)} messages and should have {len(wanted)}", sorted(odd))

    def _demand_inbox(self, reader: str, rows: Sequence[Row], wanted: Mapping[str, _Sent]) -> None:
        self.checked += len(wanted)
        found = {row.message: row for row in rows}
        if len(found) < len(rows):
            twice = [row.message for place, row in enumerate(rows) if rows[place] is not found[row.message]]
            self._fail(f"{len(rows) - len(found)} messages are in the inbox of {reader} more than once", twice)
        lost = [message for message, sent in wanted.items() if sent.cursor != _NOWHERE and message not in found]
        if lost:
            self._fail(f"{len(lost)} acknowledged messages are not in the inbox of {reader}", lost)
        strange = [message for message in found if message not in wanted]
        if strange:
            self._fail(f"{len(strange)} messages are in the inbox of {reader} that were not sent to it", strange)
        moved = [row.message for row in rows if wanted[row.message].cursor not in (_NOWHERE, row.cursor)]
        if moved:
            self._fail(f"{len(moved)} messages in the inbox of {reader} have another cursor than was told", moved)
        wrong = [row.message for row in rows if wanted[row.message].kinds[reader] != row.kind]
        if wrong:
            self._fail(f"{len(wrong)} messages in the inbox of {reader} say wrongly whether they are copies", wrong)
        told = [row.message for row in rows if set(row.bcc) - ({reader} if row.kind == "bcc" else set())]
        if told:
            self._fail(f"{reader} is shown the blind copies of {len(told)} messages", told)
        late = [after.message for before, after in pairwise(rows) if after.cursor <= before.cursor]
        if late:
            self._fail(f"{len(late)} messages in the inbox of {reader} are out of order", late)

    def _demand_whole(self, listed: Mapping[str, Sequence[Row]]) -> None:
        """Demand that what has no answer is in all inboxes or in none."""
        open_ = {message: sent for message, sent in self._sent.items() if sent.cursor == _NOWHERE}
        if not open_:
            return
        found = {(reader, row.message) for reader, rows in listed.items() for row in rows if row.message in open_}
        for message, sent in open_.items():
            readers = sent.kinds.keys() & listed.keys()
            there = {reader for reader in readers if (reader, message) in found}
            if there and there != readers:
                self._fail(f"{message}, which has no answer, is in {len(there)} of {len(readers)} inboxes", [message])

    def _fail(self, text: str, messages: Sequence[str]) -> None:
        shown = messages[:SHOWN_MAX]
        lines = [
            f"{each} was sent by {sent.sender} to {_names(sent.kinds)}, told cursor {sent.cursor or 'none'}"
            for each in shown
            if (sent := self._sent.get(each)) is not None
        ]
        raise Violation(PROMISE, f"{text}; the first are {', '.join(shown)}", [*self._history.about(*shown), *lines])


def _names(kinds: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
