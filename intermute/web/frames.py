"""Events as frames: each is encoded once for all of its readers, and what they get together is one piece of bytes.

Only an event that is addressed to somebody differs from reader to reader, by the address under which each asked
(`on_the_wire`): its text is encoded once as well, in two parts, and the address is put between them. Source: issue 7.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec

from intermute.core import limits
from intermute.core.events import Event, is_for, on_the_wire, shortened
from intermute.core.ids import ProjectName
from intermute.web.following import Subscription
from intermute.web.server import text_frame

_ASKED_AS: Final = "agent"
_NOBODY: Final = frozenset[str]()
_AddressesOf = Callable[[str], frozenset[str]]


class Framed:
    """One event, ready to be sent."""

    __slots__ = ("_parts", "_project", "_short", "event", "whole")

    def __init__(self, event: Event, project: ProjectName) -> None:
        self.event, self._project = event, project
        self.whole = text_frame(msgspec.json.encode(on_the_wire(event, project, None)) + b"\n")
        """For readers of the whole project; for everybody, where the event is addressed to nobody."""
        self._parts: tuple[bytes, bytes] | None = None
        # What is far below the bound needs no look: the rest of a frame does not come up to half of it.
        is_long = len(self.whole) >= limits.SHORT_EVENT_BYTES_MAX // 2
        short = shortened(event) if is_long else event
        self._short = Framed(short, project) if short is not event else None

    def for_reader(self, reader: Subscription) -> bytes:
        """Return the frame that a reader gets of an event that is for it."""
        framed = self._short if reader.is_short and self._short is not None else self
        is_whole = self.event.audience is None or reader.asked_as is None
        return framed.whole if is_whole else framed.addressed(reader.asked_as or "")

    def addressed(self, asked_as: str) -> bytes:
        """Return the frame for a reader that asked under this address, of an event that is addressed to it."""
        before, after = self._parts = self._parts or self._cut()
        return text_frame(before + msgspec.json.encode(asked_as) + after)

    def _cut(self) -> tuple[bytes, bytes]:
        fields = on_the_wire(self.event, self._project, "")
        names = list(fields)
        at = names.index(_ASKED_AS)
        before = msgspec.json.encode({name: fields[name] for name in names[:at]})[:-1] + (b"," if at else b"")
        after = msgspec.json.encode({name: fields[name] for name in names[at + 1 :]})[1:]
        # `type` and others come after `agent` in every event, so there is something to separate.
        return before + b'"agent":', b"," + after + b"\n"


class Frames:
    """The newest events of one project as frames, for as long as memory holds the events themselves."""

    def __init__(self, project: ProjectName) -> None:
        self._project = project
        self._known: dict[int, Framed] = {}
        self._bytes = 0

    def of(self, event: Event) -> Framed:
        """Return the event as frames, made at most once while it is among the newest."""
        found = self._known.get(event.cursor)
        if found is not None and found.event == event:
            return found
        framed = Framed(event, self._project)
        if found is None:
            self._known[event.cursor] = framed
            self._bytes += len(framed.whole)
            while len(self._known) > limits.EVENT_TAIL_MAX or self._bytes > limits.EVENT_TAIL_CHARS_MAX:
                self._bytes -= len(self._known.pop(next(iter(self._known))).whole)
        return framed


class Cut(NamedTuple):
    """What one reader gets of a sheet: its frames, in one piece and one by one, and the cursor of each."""

    joined: bytes
    frames: Sequence[bytes]
    cursors: Sequence[int]


class Sheet:
    """Events that follow each other in the log, as the readers of one project get them."""

    def __init__(
        self, start: int, events: Sequence[Event], head: int, frames: Frames, addresses_of: _AddressesOf
    ) -> None:
        """Args: start, the cursor after which they come; head, where the log ended if there are none after `start`."""
        self._framed: list[Framed] = []
        size_bytes = 0
        for event in events:
            framed = frames.of(event)
            size_bytes += len(framed.whole)
            if self._framed and size_bytes > limits.PUSH_BYTES_MAX:
                break
            self._framed.append(framed)
        self.start = start
        # A head beyond the newest event: a cursor was given out that no event took.
        self.end = self._framed[-1].event.cursor if self._framed else max(start, head)
        self._addresses_of = addresses_of
        self._audiences = [each.event.audience for each in self._framed if each.event.audience is not None]
        self._shared: dict[object, Cut] = {}

    def cut(self, reader: Subscription) -> Cut:
        """Return what a reader gets that has been given everything up to the sheet, or more."""
        asked_as, addresses = reader.asked_as, None
        if asked_as is not None and self._audiences:
            addresses = self._addresses_of(asked_as)
            if all(map(addresses.isdisjoint, self._audiences)):
                addresses = _NOBODY  # Nothing here is addressed to it, so it gets what others get.
        if addresses or reader.cursor > self.start:
            return self._made(reader, addresses)
        key = (reader.types, reader.topic, addresses, reader.is_short)
        found = self._shared.get(key)
        if found is None:
            found = self._shared[key] = self._made(reader, addresses)
        return found

    def _made(self, reader: Subscription, addresses: frozenset[str] | None) -> Cut:
        frames: list[bytes] = []
        cursors: list[int] = []
        for each in self._framed:
            event = each.event
            if event.cursor > reader.cursor and is_for(event, addresses, reader.types, reader.topic):
                frames.append(each.for_reader(reader))
                cursors.append(event.cursor)
        return Cut(b"".join(frames), frames, cursors)
