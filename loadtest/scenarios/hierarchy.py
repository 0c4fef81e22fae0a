"""`hierarchy`: files, directories and globs of one tree, exclusive and shared, each held for a moment."""

import random
from typing import ClassVar, Final

from loadtest.engine.site import Site, Wanted
from loadtest.engine.slices import Slice
from loadtest.promises.durability import Durability
from loadtest.promises.holders import Holders
from loadtest.scenarios.follower import Follower
from loadtest.scenarios.grabber import Grabber, Wish, register_all
from loadtest.scenarios.listing import demand_kept

PROJECT: Final = "hierarchy"
AREAS: Final = 8
DIRECTORIES: Final = 8  # in each area.
FILES: Final = 8  # in each directory, half of them tests.
KEEP: Final = 2
FILE_SHARE, DIRECTORY_SHARE = 0.70, 0.20  # of the requests; the others are globs.
SHARED_SHARE: Final = 0.25
_TREE: Final = {
    f"src/area_{area}/part_{part}/{'test' if file % 2 else 'module'}_{file}.py": (area, part, file)
    for area in range(AREAS)
    for part in range(DIRECTORIES)
    for file in range(FILES)
}


def _below(prefix: str) -> frozenset[str]:
    return frozenset(path for path in _TREE if path.startswith(prefix))


def _wishes() -> tuple[list[Wish], list[Wish], list[Wish]]:
    """Return all files, directories and globs that are asked for, each exclusive; what they cover is made with them."""
    files = [Wish(path, {"path": path}, frozenset((path,))) for path in _TREE]
    directories, globs = [], []
    for area in range(AREAS):
        for part in range(DIRECTORIES):
            name = f"src/area_{area}/part_{part}"
            directories.append(Wish(f"{name}/**", {"pattern": f"{name}/**"}, _below(f"{name}/")))
            tests = frozenset(path for path in _below(f"{name}/") if "/test_" in path)
            globs.append(Wish(f"{name}/test_*.py", {"pattern": f"{name}/test_*.py"}, tests))
        for file in range(FILES):
            pattern = f"src/area_{area}/*/*_{file}.py"
            covered = frozenset(path for path, (a, _, f) in _TREE.items() if (a, f) == (area, file))
            globs.append(Wish(pattern, {"pattern": pattern}, covered))
    return files, directories, globs


class Hierarchy:
    """64 agents, 512 files, 64 directories, 128 globs."""

    name: ClassVar[str] = "hierarchy"
    title: ClassVar[str] = "files, directories and globs that overlap"
    targets: ClassVar[tuple[Wanted, ...]] = ()

    def __init__(self) -> None:
        self._workers: list[Grabber] = []
        self._kept: Durability | None = None
        self._follower: Follower | None = None

    async def prepare(self, site: Site) -> None:
        """Register the agents."""
        holders = site.watch.add(Holders(site.watch.history))
        self._kept = site.watch.add(Durability(site.watch.history, "reservations"))
        self._follower = Follower(site, site.project(PROJECT))
        exclusive = _wishes()
        shared = tuple([_shared(wish) for wish in kind] for kind in exclusive)

        def draw(chance: random.Random) -> Wish:
            kinds = shared if chance.random() < SHARED_SHARE else exclusive
            at = chance.random()
            kind = 0 if at < FILE_SHARE else 1 if at < FILE_SHARE + DIRECTORY_SHARE else 2
            return chance.choice(kinds[kind])

        self._workers = [
            Grabber(
                site=site,
                project=site.project(PROJECT),
                name=f"climber-{number}",
                holders=holders,
                kept=self._kept,
                draw=draw,
                chance=site.rng(PROJECT, number),
                keep=KEEP,
            )
            for number in range(site.connections)
        ]
        await register_all(site, self._workers)

    async def load(self, site: Site, slice_: Slice) -> None:
        """Reserve and release, while somebody follows the events."""
        assert self._follower is not None
        async with self._follower.following():
            closed, _ = await slice_.rate_then_latency(self._workers)
        slice_.measure_rate("reserve", closed, "reserve")
        site.measure("share refused", closed.count("reserve", 409) / max(closed.count("reserve"), 1), "")

    async def verify(self, site: Site) -> None:
        """Demand that what is listed is what the agents hold, and that every event was heard."""
        assert self._kept is not None
        assert self._follower is not None
        await demand_kept(site, site.project(PROJECT), self._kept)
        await self._follower.demand_all()


def _shared(wish: Wish) -> Wish:
    return Wish(wish.pattern, {**wish.fields, "mode": "shared"}, wish.places, is_shared=True)
