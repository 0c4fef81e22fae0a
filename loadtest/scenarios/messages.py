"""`messages`: agents write in threads, each message to 1, 10 or 100 others, some of them as copies and blind copies.

Every message has an id of the sender's; without an answer (`--faults`) it is sent again under the same id, and has to be in
each inbox once nevertheless. A third of a slice goes to each size.
"""

import random
from collections.abc import Sequence
from typing import ClassVar, Final

from loadtest.engine.connection import Answer
from loadtest.engine.site import Site, Wanted
from loadtest.engine.slices import Slice
from loadtest.promises.inboxes import Inboxes
from loadtest.scenarios.mailbox import inboxes, threads

PROJECT: Final = "messages"
SIZES: Final = (1, 10, 100)  # recipients of one message.
CC_SHARE, BCC_SHARE = 0.2, 0.05  # of the recipients; one of ten is at least one.
THREAD_MESSAGES: Final = 20  # messages of one thread.
THREADS_LOOKED_AT: Final = 20  # at the end, of each size.


class Writer:
    """Writes to so many recipients, drawn anew for each message, in one thread after the other."""

    def __init__(self, site: Site, number: int, size: int, names: Sequence[str], sent: Inboxes) -> None:
        self.name = f"writer-{number}"
        self.threads: list[str] = []
        self._site, self._size, self._names, self._inboxes = site, size, names, sent
        self._chance: random.Random = site.rng(PROJECT, size, number)
        self._key = f"{size}-{number}"
        self._count, self._message, self._wanted = 0, "", b""
        self._is_open = False

    def ask(self) -> tuple[str, bytes]:
        """Send the next message; once more the last one, where that has no answer."""
        if not self._is_open:
            self._wanted = self._next()
        self._is_open = True
        return f"send to {self._size}", self._wanted

    def take(self, answer: Answer, _sent_s: float, answered_s: float) -> None:
        """Note that it is stored."""
        if not answer.is_unknown:
            self._is_open = False
            self._inboxes.acknowledged(answered_s, self._message, answer.demand(200).json()["cursor"])

    def lose(self, _sent_s: float, _broke_s: float) -> None:
        """Send it again with the next request."""

    def _next(self) -> bytes:
        if self._count % THREAD_MESSAGES == 0:
            self.threads.append(f"thread-{self._key}-{self._count // THREAD_MESSAGES}")
        self._count += 1
        self._message = f"message-{self._key}-{self._count}"
        names = self._chance.sample(self._names, self._size)
        bcc = round(self._size * BCC_SHARE + 0.4)
        cc = round(self._size * CC_SHARE)
        fields: dict[str, object] = {
            "project": self._site.project(PROJECT),
            "id": self._message,
            "from": self.name,
            "thread_id": self.threads[-1],
            "subject": f"message {self._count}",
            "body": " ".join(f"word{self._chance.randrange(5000)}" for _ in range(30)),
            "bcc": names[:bcc],
            "cc": names[bcc : bcc + cc],
            "to": names[bcc + cc :],
        }
        self._inboxes.sending(
            self._site.now_s(),
            self.name,
            self._message,
            to=names[bcc + cc :],
            cc=names[bcc : bcc + cc],
            bcc=names[:bcc],
            thread=self.threads[-1],
        )
        return self._site.request("POST", "/api/messages", fields)


class Messages:
    """64 connections write."""

    name: ClassVar[str] = "messages"
    title: ClassVar[str] = "threads of messages to 1, 10 and 100 recipients"
    targets: ClassVar[tuple[Wanted, ...]] = ()

    def __init__(self) -> None:
        self._names: list[str] = []
        self._writers: dict[int, list[Writer]] = {}
        self._inboxes: Inboxes | None = None

    async def prepare(self, site: Site) -> None:
        """Register who writes and who reads."""
        self._inboxes = site.watch.add(Inboxes(site.watch.history))
        self._names = [f"reader-{number}" for number in range(site.scale(200, 110))]
        for size in SIZES:
            self._writers[size] = [
                Writer(site, number, size, self._names, self._inboxes) for number in range(site.connections)
            ]
        await site.register(site.project(PROJECT), [*self._names, *(each.name for each in self._writers[SIZES[0]])])

    async def load(self, site: Site, slice_: Slice) -> None:
        """Write to one, to ten, to a hundred."""
        for size, writers in self._writers.items():
            closed, _ = await slice_.rate_then_latency(writers, slice_.seconds / len(SIZES))
            operation = f"send to {size}"
            slice_.measure_rate(operation, closed, operation)
            site.measure(f"{operation}: recipients reached", closed.rate(operation, 200) * size, "/s", "more")

    async def verify(self, site: Site) -> None:
        """Read every inbox and some threads, whole."""
        assert self._inboxes is not None
        self._inboxes.demand(await inboxes(site, site.project(PROJECT), self._names))
        chance = site.rng(PROJECT, "threads")
        for size in SIZES:
            written = [thread for writer in self._writers[size] for thread in writer.threads]
            drawn = chance.sample(written, min(THREADS_LOOKED_AT, len(written)))
            for thread, listed in (await threads(site, site.project(PROJECT), drawn)).items():
                self._inboxes.demand_thread(thread, listed)
