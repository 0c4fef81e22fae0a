"""`many-projects`: the load is spread evenly, every project keeps its own, and what one lacks is found."""

from collections import Counter
from pathlib import Path

import pytest
import trio
from server_process import ServerProcess
from tiny_runs import tiny_run

from loadtest.engine.pace import Paced
from loadtest.engine.samples import Samples
from loadtest.engine.site import Site
from loadtest.promises.durability import Durability
from loadtest.promises.history import Violation
from loadtest.scenarios.many_projects import (
    FIRST_QUICK,
    FIRST_REQUEST,
    NUMBERS,
    ManyProjects,
    added,
    operation_of,
    share_of,
)
from loadtest.scenarios.spreader import spread_over

FEW = (1, 3, 10)
Run = tuple[ManyProjects, Site, Samples]


@pytest.fixture(scope="module")
def run(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The scenario after a run with few projects, in which nothing was wrong."""
    scenario = ManyProjects(FEW)
    return scenario, *tiny_run(scenario, server, tmp_path_factory.mktemp("run"))


def test_many_projects_measures_each_number(run: Run) -> None:
    """Each number of projects has a rate, all but one a ratio to that of one, and first requests are told apart."""
    _, site, samples = run

    assert len(samples.times_ms(FIRST_REQUEST, "open")) == FIRST_QUICK
    assert all(samples.times_ms(operation_of(count), "closed") for count in FEW)
    assert {share_of(count) for count in FEW[1:]} <= site.measures.keys()


def test_project_that_lost_one_is_found(run: Run) -> None:
    """Control: a reservation that was acknowledged in one project and is not listed there breaks the promise."""
    scenario, site, _ = run
    scenario.kept["spread-10-3"].acknowledged(1.0, "anna", "lost", "src/lost.py")

    with pytest.raises(Violation, match="every acknowledged write is readable") as broken:
        trio.run(scenario.verify, site)

    assert "spread-10-3" in broken.value.explanation
    assert any("src/lost.py" in line for line in broken.value.history)


@pytest.mark.parametrize("connections", [1, 3, 4, 64])
@pytest.mark.parametrize("count", NUMBERS)
def test_load_is_spread_evenly(tmp_path: Path, connections: int, count: int) -> None:
    """After as many turns as it takes, every project was asked as often as any other one, by as many connections."""
    site = Site(port=1, seed=7, is_quick=True, directory=tmp_path, connections=connections)
    kept = {f"p-{number}": Durability(site.watch.history, "reservations") for number in range(count)}

    workers = spread_over(site, kept, "x")

    asked: Counter[str] = Counter()
    for worker in workers:
        while not worker.has_been_everywhere:
            asked[_project_of(worker.ask()[1])] += 1
    assert set(asked) == set(kept)
    assert len(set(asked.values())) == 1


def test_loops_are_added() -> None:
    """Two loops together have the sum of what each has shown."""
    first = Paced("closed", seconds=1.0, counts={("a", 200): 2, ("b", 200): 1}, server_cpu_s=0.5)
    second = Paced("closed", seconds=3.0, counts={("a", 200): 6}, server_cpu_s=1.5)

    both = added(first, second)

    assert (both.rate("a"), both.requests, both.server_cpu_s) == (2.0, 9, 2.0)


def _project_of(wanted: bytes) -> str:
    return wanted.partition(b'"project":"')[2].partition(b'"')[0].decode()
