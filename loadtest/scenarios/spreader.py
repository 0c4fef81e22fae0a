"""A worker that reserves in many projects in turn: the load of `unique`, spread."""

from collections.abc import Sequence
from itertools import cycle
from math import gcd

from loadtest.engine.connection import Answer
from loadtest.engine.site import Site
from loadtest.promises.durability import Durability
from loadtest.scenarios.reserver import Reserver


class Spreader:
    """One connection, with a reserver for each of its projects. Operations as of a reserver, with the number of projects."""

    def __init__(self, reservers: Sequence[Reserver], label: str) -> None:
        self._label = label
        self._reservers = cycle(reservers)
        self._count = len(reservers)
        self._asked = 0
        self._now = reservers[0]

    @property
    def has_been_everywhere(self) -> bool:
        """Whether it has asked in each of its projects at least once, which registers an agent there."""
        return self._asked >= self._count

    def ask(self) -> tuple[str, bytes]:
        """Ask in the next project."""
        self._now = next(self._reservers)
        self._asked += 1
        operation, wanted = self._now.ask()
        return f"{operation}, {self._label}", wanted

    def take(self, answer: Answer, sent_s: float, answered_s: float) -> None:
        """Let the reserver of that project look at the answer. Raises: LoadFailed."""
        self._now.take(answer, sent_s, answered_s)

    def lose(self, sent_s: float, broke_s: float) -> None:
        """Let it know that there is none."""
        self._now.lose(sent_s, broke_s)


def spread_over(site: Site, kept: dict[str, Durability], label: str) -> list[Spreader]:
    """Return a worker for each connection, such that every project has as many of them, and each as many projects.

    Neighbours begin in different projects, so that at any time all projects are asked alike.
    """
    projects = list(kept)
    shared = gcd(site.connections, len(projects))
    each = len(projects) // shared
    workers = []
    for number in range(site.connections):
        mine = [projects[(number % shared) + step * shared] for step in range(each)]
        begin = number // shared % each
        reservers = [Reserver(site, project, number, kept[project]) for project in mine[begin:] + mine[:begin]]
        workers.append(Spreader(reservers, label))
    return workers
