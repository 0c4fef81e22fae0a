"""`mixed`: a day of 200 agents, compressed. How often an agent does what, in an hour of work, and why:

| what | an hour | |
|---|---|---|
| heartbeat | 60 | as docs/api.md advises |
| poll of the inbox | 30 | between two calls of tools, every two minutes; then what has come is read or acknowledged |
| edit of a file | 12 | for two and a half minutes each, so that it holds a file half of the time: check, reserve, release |
| message | 4 | six of ten are answers in a thread, the others go to 1, 3 or 10; half want an acknowledgement |
| task | 2 | for ten minutes each: next, done; who finds none makes four |
| coming back | 0.5 | a terminal was closed or a context was full: register under the same session |

These are guesses; the proportions matter, and that all of it happens at once. 1,000 files are edited, the n-th in proportion
to 1 / (50 + n), so that about every ninth is held when it is checked. Three of ten ask for such a file all the same; one edit
of ten is renewed half-way. One agent of ten has a socket open for its messages, and somebody follows all events.

Pauses are a two-hundredth of their length (quick: a thousandth), since the service takes about 200 times what these
agents do. First come check, reserve and release alone, without pauses: the mix whose capacity `overload` offers three times.
Then the day in a closed loop, and in an open one at 60 % of that. All promises are checked at once.
"""

from collections.abc import Callable
from typing import ClassVar, Final

from loadtest.engine.site import Site, Wanted
from loadtest.engine.slices import OPEN_SHARE, Slice
from loadtest.engine.tasks import beside, together
from loadtest.scenarios.correspondence import Correspondence, MailSocket
from loadtest.scenarios.desk import Desk, Script
from loadtest.scenarios.follower import Follower
from loadtest.scenarios.office import Office
from loadtest.scenarios.office_checks import demand_day

PROJECT: Final = "mixed"
AGENTS: Final = 200
AGENTS_QUICK: Final = 40
LISTENING_SHARE: Final = 0.1  # of the agents, who have a socket open.
SPEED: Final = 200.0
SPEED_QUICK: Final = 1_000.0
EDIT_S: Final = 150.0  # as above.
TASK_S: Final = 600.0  # as above.
EDITING_SHARE: Final = 0.2  # of the slice, for check, reserve and release alone.
CLOSED_SHARE: Final = 0.3  # of the slice, for the day in a closed loop.

Mix = dict[Callable[[], Script], float]


def day(habits: Correspondence) -> Mix:
    """Return what agents do, and how often in an hour; the table above."""
    return {
        habits.heartbeat: 60.0,
        habits.poll: 30.0,
        lambda: habits.edit(EDIT_S): 12.0,
        habits.write: 4.0,
        lambda: habits.task(TASK_S): 2.0,
        habits.session: 0.5,
    }


def editing(habits: Correspondence) -> Mix:
    """Return check, reserve and release alone, without pauses."""
    return {lambda: habits.edit(0.0): 1.0}


class Mixed:
    """200 agents, N connections, each with some of them."""

    name: ClassVar[str] = "mixed"
    title: ClassVar[str] = "a day of 200 agents, compressed"
    targets: ClassVar[tuple[Wanted, ...]] = (
        Wanted("day: times as fast as a real one", ">= 10 times as fast as a real day", at_least=10.0),
        Wanted(
            "day: share of checked files that are held", "0.01 to 0.50 (the load itself)", at_least=0.01, at_most=0.50
        ),
    )

    def __init__(self) -> None:
        self._desks: list[Desk] = []
        self._days: list[Mix] = []
        self._edits: list[Mix] = []
        self._office: Office | None = None
        self._follower: Follower | None = None

    async def prepare(self, site: Site) -> None:
        """Register everyone."""
        size = site.scale(AGENTS, AGENTS_QUICK)
        office = self._office = Office(site, site.project(PROJECT), size)
        self._follower = Follower(site, office.project)
        await office.register(listeners=round(size * LISTENING_SHARE))
        for number in range(min(site.connections, size)):
            chance = site.rng(PROJECT, number)
            people = office.people[number :: site.connections]
            habits = Correspondence(office, people, chance, site.scale(SPEED, SPEED_QUICK))
            self._days.append(day(habits))
            self._edits.append(editing(habits))
            self._desks.append(Desk(site, chance, self._days[-1]))

    async def load(self, site: Site, slice_: Slice) -> None:
        """Measure the editing alone, then the day, while some listen."""
        assert self._office is not None
        assert self._follower is not None
        sockets = self.sockets()
        async with self._follower.following(), beside(lambda: together(each.listen() for each in sockets)):
            self._follow(self._edits)
            alone = await slice_.closed_loop(self._desks, slice_.seconds * EDITING_SHARE)
            self._follow(self._days)
            begun = sum(desk.begun for desk in self._desks)
            checks, found_held = self._office.checks, self._office.found_held
            closed = slice_.main = await slice_.closed_loop(self._desks, slice_.seconds * CLOSED_SHARE)
            begun = sum(desk.begun for desk in self._desks) - begun
            open_s = slice_.seconds * (1 - EDITING_SHARE - CLOSED_SHARE)
            await slice_.open_loop(self._desks, max(closed.per_s * OPEN_SHARE, 1.0), open_s)
        site.measure("check, reserve and release: per second", alone.per_s, "/s", "more")
        site.measure(
            "check, reserve and release: times the echo", alone.per_s / slice_.references.echo_per_s, "x", "more"
        )
        site.measure("day: requests per second", closed.per_s, "/s", "more")
        site.measure("day: times the echo", closed.per_s / slice_.references.echo_per_s, "x", "more")
        if site.pid is not None and not site.has_faults:
            site.measure("day: server CPU a request", closed.server_cpu_us, "us", "less")
        real_per_s = len(self._office.people) * sum(self._days[0].values()) / 3600
        site.measure("day: times as fast as a real one", begun / closed.seconds / real_per_s, "x", "more")
        checks = self._office.checks - checks
        found_held = self._office.found_held - found_held
        site.measure("day: share of checked files that are held", found_held / max(checks, 1), "")

    def sockets(self) -> list[MailSocket]:
        """Return the sockets of those who listen."""
        office = self._office
        assert office is not None
        return [MailSocket(office, person) for person in office.people if person.id in office.listening]

    def _follow(self, mixes: list[Mix]) -> None:
        for desk, mix in zip(self._desks, mixes, strict=True):
            desk.mix = mix

    async def verify(self, site: Site) -> None:
        """Demand that everything is where the answers said."""
        assert self._office is not None
        assert self._follower is not None
        await demand_day(site, self._office, self.sockets())
        await self._follower.demand_all()
