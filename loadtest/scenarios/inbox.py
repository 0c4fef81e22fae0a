"""`inbox`: pages of an inbox of 100,000 messages, from its begin, from anywhere in it by cursor, and from its end.

All messages go to one agent, one request each: nothing cheaper makes an inbox that deep, since a message takes one place in an
inbox, however many others receive it. Before the first round that takes a minute or so. A second project
has 1,000 messages to its agent, and pages are read in both, in turn, to tell what the number of stored messages costs.

A page of the usual size is one of 100 messages, as who states no limit gets it, full, and from a place drawn in the inbox;
of it the target speaks. Its messages have 30 words each. A page of 10 is about what a poll with news brings.
"""

import random
from collections.abc import Sequence
from typing import ClassVar, Final

from loadtest.engine.connection import Answer
from loadtest.engine.pace import Paced
from loadtest.engine.site import Site, Wanted, spread
from loadtest.engine.slices import OPEN_SHARE, Slice
from loadtest.engine.tasks import together
from loadtest.promises.history import Violation
from loadtest.promises.inboxes import PROMISE, Inboxes
from loadtest.scenarios.mailbox import inboxes, read_page

LARGE, SMALL = "inbox", "inbox-small"
READER: Final = "reader"
DEFAULT_ROWS: Final = 100  # of a page without a limit.
PART: Final = (
    1 / 6
)  # of a slice: pages of the usual size, four loops in the two projects and one open one; half for others.
LOOKED_AT_EVERY: Final = 16  # of so many pages one is read whole; reading all would cost more than they do.
USUAL, IN_SMALL = "page of 100", "page of 100 of 1,000 messages"


class Stored:
    """The messages of one project's reader, in the order of their cursors."""

    def __init__(self, name: str) -> None:
        self.name = self.project = name
        self.cursors: list[int] = []
        self.messages: list[str] = []

    async def fill(self, site: Site, count: int, kept: Inboxes) -> None:
        """Send so many messages to the reader, from as many agents as there are connections. Raises: LoadFailed."""
        found: list[tuple[int, str]] = []

        async def some(number: int, part: range) -> None:
            chance, sender = site.rng(self.name, number), f"writer-{number}"
            connection = await site.connect()
            try:
                for each in part:
                    message = f"{self.name}-{each}"
                    kept.sending(site.now_s(), sender, message, to=[READER])
                    wanted = site.request("POST", "/api/messages", self._fields(sender, message, chance))
                    answer = await connection.ask(wanted, 200)
                    kept.acknowledged(site.now_s(), message, answer["cursor"])
                    found.append((answer["cursor"], message))
            finally:
                connection.close()

        self.project = site.project(self.name)
        await site.register(self.project, [READER, *(f"writer-{number}" for number in range(site.connections))])
        await together(some(number, part) for number, part in enumerate(spread(count, site.connections)))
        found.sort()
        self.cursors = [cursor for cursor, _ in found]
        self.messages = [message for _, message in found]

    def _fields(self, sender: str, message: str, chance: random.Random) -> dict[str, object]:
        return {
            "project": self.project,
            "id": message,
            "from": sender,
            "to": [READER],
            "thread_id": f"thread-{sender}",
            "subject": f"message {message}",
            "body": " ".join(f"word{chance.randrange(1000, 9999)}" for _ in range(30)),
        }


class Pager:
    """Reads pages of one inbox: so many rows, from a drawn place or from a fixed one (counted as messages before it)."""

    def __init__(
        self, site: Site, number: int, operation: str, stored: Stored, rows: int | None, place: int | None = None
    ) -> None:
        self._site, self._operation, self._stored, self._place = site, operation, stored, place
        self._rows = rows or DEFAULT_ROWS
        self._limit = "" if rows is None else f"&limit={rows}"
        self._chance = site.rng(operation, stored.name, number)
        self._asked = 0
        self._from = 0

    def ask(self) -> tuple[str, bytes]:
        """Ask for the messages after a cursor."""
        messages = len(self._stored.cursors)
        self._from = self._chance.randrange(messages - self._rows) if self._place is None else self._place
        since = f"&since_cursor={self._stored.cursors[self._from - 1]}" if self._from else ""
        target = f"/api/inbox/{READER}?project={self._stored.project}{since}{self._limit}"
        return self._operation, self._site.request("GET", target)

    def take(self, answer: Answer, _sent_s: float, _answered_s: float) -> None:
        """Demand that the page has the very messages that come next; of some, since reading one takes a while."""
        answer.demand(200)
        self._asked += 1
        if self._asked % LOOKED_AT_EVERY != 1:
            return
        found = [each.id for each in read_page(answer.body).messages]
        wanted = self._stored.messages[self._from : self._from + self._rows]
        if found != wanted:
            raise Violation(
                PROMISE,
                f"a page of {self._rows} after {self._from} messages has {len(found)}, and should have {len(wanted)}",
                [f"the page: {found}", f"what was acknowledged: {wanted}"],
            )

    def lose(self, _sent_s: float, _broke_s: float) -> None:
        """Nothing: a page that was not answered has changed nothing."""


class Inbox:
    """64 connections read."""

    name: ClassVar[str] = "inbox"
    title: ClassVar[str] = "pages of an inbox of 100,000 messages"
    targets: ClassVar[tuple[Wanted, ...]] = (
        Wanted(f"{USUAL}: times the echo", ">= 0.35 of the echo", at_least=0.35),
        Wanted("page cost, all messages against 1,000", "0.85 to 1.15", at_least=0.85, at_most=1.15),
    )

    def __init__(self, sizes: tuple[int, int] | None = None) -> None:
        """Take other numbers of messages for the large and the small inbox than a run has; for tests."""
        self._sizes = sizes
        self._large, self._small = Stored(LARGE), Stored(SMALL)
        self._pagers: dict[str, list[Pager]] = {}
        self._kept: tuple[Inboxes, Inboxes] | None = None

    async def prepare(self, site: Site) -> None:
        """Store the messages through the interface."""
        history = site.watch.history
        self._kept = (site.watch.add(Inboxes(history)), site.watch.add(Inboxes(history)))
        large, small = self._sizes or site.scale((100_000, 1_000), (2_000, 1_000))
        await self._small.fill(site, small, self._kept[1])
        await self._large.fill(site, large, self._kept[0])
        end = len(self._large.cursors)
        for operation, stored, rows, place in (
            (USUAL, self._large, None, None),
            (IN_SMALL, self._small, None, None),
            ("page of 10", self._large, 10, None),
            ("first page of 100", self._large, None, 0),
            ("nothing new", self._large, None, end),
        ):
            self._pagers[operation] = [
                Pager(site, number, operation, stored, rows, place) for number in range(site.connections)
            ]

    async def load(self, site: Site, slice_: Slice) -> None:
        """Read pages of every kind; those of the two projects in turn."""
        part_s = slice_.seconds * PART
        # Large, small, small, large: what the machine has to do besides, and gains or loses slowly, meets both alike.
        large = [await slice_.closed_loop(self._pagers[USUAL], part_s)]
        small = [await slice_.closed_loop(self._pagers[IN_SMALL], part_s) for _ in range(2)]
        large.append(await slice_.closed_loop(self._pagers[USUAL], part_s))
        slice_.main = usual = _both(large)
        slice_.measure_rate(USUAL, usual, USUAL)
        await slice_.open_loop(self._pagers[USUAL], max(usual.per_s * OPEN_SHARE, 1.0), part_s)
        for operation in ("first page of 100", "page of 10", "nothing new"):
            paced = await slice_.closed_loop(self._pagers[operation], part_s / 2)
            slice_.measure_rate(operation, paced, operation)
        cost = _cost(site, usual) / _cost(site, _both(small))
        site.measure("page cost, all messages against 1,000", cost, "x", "less")

    async def verify(self, site: Site) -> None:
        """Read both inboxes from begin to end."""
        assert self._kept is not None
        for stored, kept in zip((self._large, self._small), self._kept, strict=True):
            kept.demand(await inboxes(site, stored.project, [READER]))


def _both(loops: Sequence[Paced]) -> Paced:
    """Return two loops of the same kind as one."""
    whole = Paced("closed")
    for each in loops:
        whole.seconds += each.seconds
        whole.server_cpu_s += each.server_cpu_s
        whole.clients_cpu_s += each.clients_cpu_s
        for kind, count in each.counts.items():
            whole.counts[kind] = whole.counts.get(kind, 0) + count
    return whole


def _cost(site: Site, paced: Paced) -> float:
    """Return what a page cost: the service's processor time, or where that is not known just time."""
    is_known = site.pid is not None and not site.has_faults
    return (paced.server_cpu_s if is_known else paced.seconds) / max(paced.requests, 1)
