"""`push`: sockets follow a project while messages are sent in it, and each of them hears of every message.

Messages are sent 20 a second by one agent to another; a socket that follows the project hears of all, so each message is
pushed to the whole crowd and costs one commit of two rows, which keeps the disk out of the figure. Then as many messages as
get through while at most `ON_THEIR_WAY` have not been heard by everybody: deliveries a second at saturation, with an
audience that keeps up. A round takes 2.75 times its slice: the full crowd, of which the target speaks, has two slices, since
a p99 of 80 messages would be that of the latest one.

*When a message is committed* a client cannot see. It sees the event's `created_at`, which the service reads from the machine's
clock, to the microsecond, when it begins to handle the request; and the moment of the sender's answer. Latency counts from
`created_at`: it comes before the commit, so the wait for the disk is in the figure, and the figure is never flattering. The
answer is sent after the commit and beside the pushes; counted from there a service that answers late would look fast, and many
receipts would come before time. What a message waits before it is handled is in the operation `message`, whose latency
counts from when it was to be sent.
"""

import resource
import time
from typing import ClassVar, Final

import trio

from loadtest.engine.connection import Answer, Broken, Connection, LoadFailed
from loadtest.engine.pace import Paced
from loadtest.engine.samples import quantile
from loadtest.engine.site import Site, Wanted
from loadtest.engine.slices import Slice
from loadtest.engine.tasks import together
from loadtest.promises.events_once import EventsOnce
from loadtest.scenarios.crowd import Crowd

PROJECT: Final = "push"
PER_S: Final = 20.0
ON_THEIR_WAY: Final = 16  # messages at saturation that somebody has not heard yet, and agents that send them.
SHARE: Final = 0.25  # of a slice for each part but the full crowd at 20 a second.
FULL_SHARE: Final = (2.0, 1.0)  # slices for that, in a full run and in a quick one.
DESCRIPTORS_SPARE: Final = 200  # of this process, beside the sockets.
SETTLE_S: Final = (
    1.0,
    0.2,
)  # in a full run and a quick one, until the service has finished with what it was asked; then its memory is looked at.
CALM_S: Final = 0.05  # without the service using time; then it has finished with what it was asked.
CALM_WITHIN_S: Final = 3.0
EVENT: Final = 101
"""The status under which a receipt is recorded: that of the handshake, since an event has none."""


class Speaker:
    """Sends messages, one agent to another."""

    def __init__(self, site: Site, number: int) -> None:
        self.operation = ""
        self._site, self._number, self._sent = site, number, 0

    def ask(self) -> tuple[str, bytes]:
        """Send the next message."""
        self._sent += 1
        fields = {
            "project": self._site.project(PROJECT),
            "from": f"speaker-{self._number}",
            "to": ["hearer"],
            "subject": f"message {self._sent} of {self._number}",
            "body": "Everyone who follows the project hears of this message at once. " * 3,
        }
        return self.operation, self._site.request("POST", "/api/messages", fields)

    def take(self, answer: Answer, _sent_s: float, _answered_s: float) -> None:
        """Demand that it was stored; the log, which is read later, tells what became of one without an answer."""
        if not answer.is_unknown:
            answer.demand(200)

    def lose(self, _sent_s: float, _broke_s: float) -> None:
        """Nothing: the log tells whether it was stored."""


class Push:
    """1, 100 and 1,000 sockets."""

    name: ClassVar[str] = "push"
    title: ClassVar[str] = "1, 100 and 1,000 sockets hear of 20 messages a second, and of as many as go"
    targets: ClassVar[tuple[Wanted, ...]] = (
        Wanted("1,000 sockets: commit to last receipt, p99", "< 60 ms", at_most=60.0),
        Wanted("memory per idle socket", "< 24 KiB", at_most=24.0),
    )

    def __init__(self) -> None:
        self._sizes: tuple[int, ...] = ()
        self._speakers: list[Speaker] = []
        self._once: EventsOnce | None = None

    async def prepare(self, site: Site) -> None:
        """Register the agents; measure what an idle socket costs, on a service that has forgotten nothing yet."""
        self._sizes = site.scale((1, 100, 1000), (1, 10, 100))
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if limit < self._sizes[-1] + DESCRIPTORS_SPARE:
            raise LoadFailed(
                f"{self._sizes[-1]} sockets need more than {limit} open files: raise the hard limit (ulimit -Hn)"
            )
        self._once = site.watch.add(EventsOnce())
        await site.register(site.project(PROJECT), ["hearer", *(f"speaker-{number}" for number in range(ON_THEIR_WAY))])
        self._speakers = [Speaker(site, number) for number in range(ON_THEIR_WAY)]
        with Crowd(site, site.project(PROJECT), self._once) as crowd:
            await crowd.grow(1)
            await self._warm(site, crowd)
            before_mb = site.service_rss_mb()
            await crowd.grow(1 + self._sizes[-1])
            await trio.sleep(site.scale(*SETTLE_S))
            idle_mb = site.service_rss_mb()
            await self._warm(site, crowd)
            after_mb = site.service_rss_mb()
        if site.pid is not None:
            kib = 1e6 / 1024 / self._sizes[-1]
            site.measure("memory per idle socket", (idle_mb - before_mb) * kib, "KiB", "less")
            site.measure("memory per socket that has heard", (after_mb - before_mb) * kib, "KiB", "less")
        await _calm(site)

    async def load(self, site: Site, slice_: Slice) -> None:
        """Let the crowd grow, and speak to it each time."""
        assert self._once is not None
        with Crowd(site, site.project(PROJECT), self._once) as crowd:
            for size in self._sizes:
                await crowd.grow(size)
                await self._paced(site, slice_, crowd)
            await self._saturated(site, slice_, crowd)
        await _calm(site)

    async def verify(self, site: Site) -> None:
        """Replay the log over one more socket from its beginning, and demand that it is all there."""
        assert self._once is not None
        with Crowd(site, site.project(PROJECT), self._once) as crowd:
            await crowd.grow(1, after=0)
            async with crowd.listening():
                await crowd.judge()

    async def _paced(self, site: Site, slice_: Slice, crowd: Crowd) -> None:
        """Speak 20 times a second, and measure how late everybody hears it."""
        sockets = _sockets(len(crowd.ears))
        for speaker in self._speakers:
            speaker.operation = f"message to {sockets}"
        is_whole = len(crowd.ears) == self._sizes[-1]
        async with crowd.listening():
            await slice_.open_loop(
                self._speakers, PER_S, slice_.seconds * (site.scale(*FULL_SHARE) if is_whole else SHARE)
            )
            made_s = await crowd.judge()
        # The clients' clock counts from somewhere; the service's stamps are of the epoch.
        offset_s = time.time() - site.now_s()
        all_ms = [
            _noted(slice_, f"commit to receipt, {sockets}", made_s[cursor] - offset_s, heard_s)
            for ear in crowd.ears
            for cursor, heard_s in zip(ear.heard.cursors, ear.heard.times_s, strict=True)
        ]
        last_ms = [
            _noted(slice_, f"commit to last receipt, {sockets}", made_s[cursor] - offset_s, heard_s)
            for cursor, heard_s in crowd.last_heard_s.items()
        ]
        for what, times_ms in (("receipt", all_ms), ("last receipt", last_ms)):
            if times_ms:
                site.measure(f"{sockets}: commit to {what}, p50", quantile(times_ms, 0.5), "ms", "less")
                site.measure(f"{sockets}: commit to {what}, p99", quantile(times_ms, 0.99), "ms", "less")
        crowd.settle()

    async def _saturated(self, site: Site, slice_: Slice, crowd: Crowd) -> None:
        """Keep so many messages on their way; the round's rate is that of the deliveries."""
        cpu_s, own_s, begun_s = site.service_cpu_s(), time.process_time(), site.now_s()
        async with crowd.listening():
            await self._talk(site, crowd, begun_s + slice_.seconds * SHARE, slice_)
            ended_s = max(crowd.last_heard_s.values(), default=site.now_s())
            used_s, own_s = site.service_cpu_s() - cpu_s, time.process_time() - own_s
            await crowd.judge()
        deliveries = sum(len(ear.heard.cursors) for ear in crowd.ears)
        slice_.main = Paced("closed", ended_s - begun_s, {("delivery", EVENT): deliveries}, used_s, own_s)
        sockets = _sockets(len(crowd.ears))
        site.measure(f"{sockets}: deliveries at saturation", slice_.main.per_s, "/s", "more")
        if site.pid is not None and not site.has_faults:
            site.measure(f"{sockets}: server CPU a delivery", slice_.main.server_cpu_us, "us", "less")
        site.measure(f"{sockets}: clients' CPU a delivery", own_s / max(deliveries, 1) * 1e6, "us")
        crowd.settle()

    async def _warm(self, site: Site, crowd: Crowd) -> None:
        """Send a few messages and wait until the service has finished with them."""
        async with crowd.listening():
            await self._talk(site, crowd, 0.0)
            await crowd.judge()
        crowd.settle()
        await trio.sleep(site.scale(*SETTLE_S))

    async def _talk(self, site: Site, crowd: Crowd, until_s: float, slice_: Slice | None = None) -> None:
        """Let every speaker send one message after the other, each when all have heard its last; at least one."""
        operation = f"message heard by {_sockets(len(crowd.ears))}"

        async def talk(speaker: Speaker) -> None:
            line = _Line(site)
            try:
                while True:
                    sent_s = site.now_s()
                    answer = await line.ask(speaker.ask()[1])
                    if answer is not None:
                        await crowd.heard_by_all(answer.demand(200).json()["cursor"])
                        if slice_ is not None:
                            slice_.samples.record(operation, "closed", sent_s, site.now_s(), EVENT)
                    if site.now_s() >= until_s:
                        return
            finally:
                line.close()

        await together(talk(speaker) for speaker in self._speakers)


class _Line:
    """A connection that is opened again if the service was killed."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._connection: Connection | None = None

    async def ask(self, wanted: bytes) -> Answer | None:
        """Return the answer, or None where nobody knows what became of the request. Raises: LoadFailed."""
        self._connection = self._connection or await self._site.connect()
        try:
            answer = await self._connection.call(wanted)
        except Broken:
            if not self._site.has_faults:
                raise
            self.close()
            return None
        return None if answer.is_unknown else answer

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _noted(slice_: Slice, operation: str, made_s: float, heard_s: float) -> float:
    """Record a receipt and return how late it was, in ms. Two readings of the clock may differ by a few microseconds."""
    made_s = min(made_s, heard_s)
    slice_.record(operation, made_s, made_s, heard_s, EVENT)
    return (heard_s - made_s) * 1000


def _sockets(size: int) -> str:
    return f"{size:,} socket{'s' if size > 1 else ''}"


async def _calm(site: Site) -> None:
    """Return when the service has finished with the sockets that were closed, so that nothing else is measured with it."""
    with trio.move_on_after(CALM_WITHIN_S):
        cpu_s = -1.0
        while site.service_cpu_s() > cpu_s:
            cpu_s = site.service_cpu_s()
            await trio.sleep(CALM_S)
