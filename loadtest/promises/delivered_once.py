"""Every message is delivered once: who it is for receives it, once and as it was sent, and nobody else does.

A reader comes back with the cursor of the last message that it received, so the cursors it sees only rise. When it has come to
the end, it has received every acknowledged message that was for it. A message of unknown outcome was stored or not.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NoReturn

from loadtest.promises.history import History, Violation

PROMISE: Final = "every message is delivered once"
SHOWN_MAX: Final = 3  # messages that are missing and named in an explanation.


@dataclass(slots=True)
class _Sent:
    content: str
    recipients: frozenset[str]
    is_acknowledged: bool = False


@dataclass(slots=True)
class _Reader:
    cursor: int = 0
    received: set[str] = field(default_factory=set)


class DeliveredOnce:
    """What was sent by whom, and received by whom in one way: by reading inboxes, or over sockets."""

    promise = PROMISE

    def __init__(self, history: History, way: str) -> None:
        self._history, self._way = history, way
        self._sent: dict[str, _Sent] = {}
        self._readers: dict[str, _Reader] = {}
        self.checked = 0

    def sending(self, at_s: float, who: str, message: str, content: str, recipients: Iterable[str]) -> None:
        """Note that a message is about to be sent: from now on it may be received."""
        to = frozenset(recipients)
        self._history.note(at_s, who, message, f"sends it to {', '.join(sorted(to))}")
        self._sent[message] = _Sent(content, to)

    def sent(self, at_s: float, who: str, message: str) -> None:
        """Note that it was acknowledged: from now on it has to be delivered."""
        self._history.note(at_s, who, message, "was told that it is stored")
        self._sent[message].is_acknowledged = True

    def cursor_of(self, agent: str) -> int:
        """Return the cursor of the last message that an agent has received; 0 before the first."""
        return self._readers[agent].cursor if agent in self._readers else 0

    def passed(self, agent: str, cursor: int) -> None:
        """Note that a reader has come so far without a message, or over one that is none of ours."""
        reader = self._readers.setdefault(agent, _Reader())
        reader.cursor = max(reader.cursor, cursor)

    def received(self, at_s: float, agent: str, message: str, content: str, cursor: int) -> None:
        """Note that an agent has received a message under a cursor. Raises: Violation."""
        self.checked += 1
        self._history.note(at_s, agent, message, f"received it under {cursor} by {self._way}")
        reader, sent = self._readers.setdefault(agent, _Reader()), self._sent.get(message)
        if sent is None:
            self._fail(f"{agent} received {message}, which nobody sent", message)
        if agent not in sent.recipients:
            self._fail(f"{agent} received {message}, which is for {', '.join(sorted(sent.recipients))}", message)
        if message in reader.received:
            self._fail(f"{agent} received {message} again, under {cursor}", message)
        if cursor <= reader.cursor:
            self._fail(f"{agent} received {message} under {cursor}, after it had come to {reader.cursor}", message)
        if content != sent.content:
            self._fail(f"{agent} received {message} as {content!r}, and it was sent as {sent.content!r}", message)
        reader.cursor = cursor
        reader.received.add(message)

    def missing(self) -> list[tuple[str, str]]:
        """Return the acknowledged messages that have not been received, each with who should have."""
        return sorted(
            (message, agent)
            for message, sent in self._sent.items()
            if sent.is_acknowledged
            for agent in sent.recipients
            if agent not in self._readers or message not in self._readers[agent].received
        )

    def demand(self) -> None:
        """Demand that nothing is missing, when all readers have come to the end. Raises: Violation."""
        self.checked += sum(len(sent.recipients) for sent in self._sent.values() if sent.is_acknowledged)
        if missing := self.missing():
            shown = missing[:SHOWN_MAX]
            named = ", ".join(f"{message} ({agent})" for message, agent in shown)
            self._fail(
                f"{len(missing)} times an acknowledged message was not received by {self._way}; the first are {named}",
                *(message for message, _ in shown),
            )

    def _fail(self, text: str, *messages: str) -> NoReturn:
        raise Violation(PROMISE, text, self._history.about(*messages))
