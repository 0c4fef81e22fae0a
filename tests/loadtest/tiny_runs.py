"""Runs a scenario once, for a moment, against a service that runs already: prepare, one slice, verify."""

from pathlib import Path

import trio
from server_process import ServerProcess

from loadtest.engine.samples import Samples
from loadtest.engine.site import Scenario, Site
from loadtest.engine.slices import References, Slice

SLICE_S = 0.3
CONNECTIONS = 4


def tiny_run(scenario: Scenario, server: ServerProcess, directory: Path) -> tuple[Site, Samples]:
    """Return what the scenario has measured and recorded at its smallest scale. Raises: LoadFailed, Violation."""
    site = Site(
        port=server.port,
        seed=7,
        is_quick=True,
        directory=directory,
        pid=server.process.pid,
        connections=CONNECTIONS,
    )
    samples = Samples()
    trio.run(_run, scenario, site, samples)
    return site, samples


async def _run(scenario: Scenario, site: Site, samples: Samples) -> None:
    await scenario.prepare(site)
    await scenario.load(
        site, Slice(site, samples, 0, SLICE_S, References(echo_per_s=10_000.0, one_commit_per_request_per_s=100.0))
    )
    await scenario.verify(site)


def demand_measured(scenario: Scenario, site: Site) -> None:
    """Fail unless there is a measure for each target, and every promise was looked at."""
    assert {wanted.measure for wanted in scenario.targets} <= site.measures.keys()
    checked = site.watch.checked()
    assert checked
    assert all(checked.values()), checked
