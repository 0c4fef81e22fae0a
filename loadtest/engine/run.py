"""A whole run: starts the service and its references, lets each scenario's clients load it in rounds, makes the report.

Every round measures the references first and the scenario right after, so that both are of the same minute. Each scenario
has a service of its own on an empty directory: what one leaves behind costs the next one nothing.
"""

import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from loadtest.engine.faults import kill_and_restart
from loadtest.engine.machine import service_at, this_machine
from loadtest.engine.references import echo_server
from loadtest.engine.server import Server, ServerFailed, running
from loadtest.engine.site import Wanted
from loadtest.engine.talk import AskReferences, Begin, Clients, ClientsFailed, LoadSlice, Reply, Seen, Sliced, Verify
from loadtest.report import model
from loadtest.scenarios import SCENARIOS

WRONG_ANSWER = "right answers"
"""The promise that a wrong answer or a dead service breaks."""
_LOG_LINES = 20  # lines of the service's log, above INFO, that are told with a violation.


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run, how long and how wide."""

    scenarios: Sequence[str]
    directory: Path
    """Where the data goes while it runs."""
    seed: int
    is_quick: bool
    rounds: int
    slice_s: float
    echo_s: float
    commits_s: float
    single_s: float
    connections: int
    has_faults: bool = False
    url: str | None = None
    lane: str = "fast"

    @property
    def host(self) -> str:
        """Where the service is: on loopback, or where the URL says."""
        return "127.0.0.1" if self.url is None else urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The port of the URL; 0 without one."""
        return 0 if self.url is None else urlsplit(self.url).port or 80

    @property
    def steps(self) -> int:
        """Steps of one scenario, as the progress counts them."""
        return 2 + 2 * self.rounds


class Progress(Protocol):
    """Where it is told how far the run has come."""

    def step(self, scenario: str, doing: str) -> None:
        """Say that a scenario begins to do something; each is one step."""


class _Scene:
    """One scenario as it runs: its service, its clients, and what they have told so far."""

    def __init__(self, name: str, plan: Plan, server: Server | None, clients: Clients, progress: Progress) -> None:
        self._plan, self._server, self._clients, self._progress = plan, server, clients, progress
        self._kind = SCENARIOS[name]
        self._rounds: list[model.Round] = []
        self._faults: list[model.Fault] = []
        self._seen = Seen([], [], {})
        self.violation: model.Violation | None = None

    def run(self, begin: Begin) -> None:
        """Prepare, go through the rounds, verify; stop at the first violation. Raises: ServerFailed, ClientsFailed."""
        self._step("prepare")
        self._clients.say(begin)
        is_well = self._take(self._clients.hear())
        for number in range(self._plan.rounds if is_well else 0):
            self._step(f"round {number + 1}: references")
            self._clients.say(AskReferences())
            if not self._take(self._clients.hear()):
                return
            self._step(f"round {number + 1}")
            self._clients.say(LoadSlice(number, self._server.process.pid if self._server else None))
            if self._plan.has_faults and self._server is not None:
                self._fault(self._server, number)
            if not self._take(self._clients.hear()):
                return
        if is_well:
            self._step("verify")
            self._clients.say(Verify())
            self._take(self._clients.hear())

    def _step(self, doing: str) -> None:
        self._progress.step(self._kind.name, doing)

    def _fault(self, server: Server, number: int) -> None:
        chance = random.Random(f"{self._plan.seed}/faults/{self._kind.name}/{number}")
        at_s, back_after_s = kill_and_restart(server, chance, self._plan.slice_s)
        load_s = sum(each.seconds for each in self._rounds) + at_s
        self._faults.append(model.Fault(at_s=load_s, what="kill -9", back_after_s=back_after_s))

    def _take(self, reply: Reply) -> bool:
        """Keep a reply; tell whether it goes on."""
        if isinstance(reply, Sliced):
            self._rounds.append(reply.round)
        if isinstance(reply, Seen):
            self._seen = reply
            self.violation = reply.violation
            if reply.failure is not None:
                self.violation = model.Violation(promise=WRONG_ANSWER, explanation=reply.failure, history=[])
        return self.violation is None

    def found(self) -> model.Scenario:
        """Return what has been seen."""
        if self.violation is not None and self._server is not None:
            self.violation.history.extend(_complaints(self._server))
        return model.Scenario(
            name=self._kind.name,
            title=self._kind.title,
            rounds=self._rounds,
            operations=self._seen.operations,
            measures=self._seen.measures,
            targets=[judged(each, self._seen.measures, self._plan) for each in self._kind.targets],
            checked=self._seen.checked,
            faults=self._faults,
            violation=self.violation,
        )


def run(plan: Plan, progress: Progress) -> model.Report:
    """Run all scenarios and return the report. Raises: ServerFailed, ClientsFailed."""
    started_at, begun_s = datetime.now(UTC), time.monotonic()
    # Not in the system's temporary directory, which is often in memory: there a commit costs nothing.
    with tempfile.TemporaryDirectory(prefix=".loadtest-", dir=plan.directory) as scratch:
        home = Path(scratch)
        with echo_server() as echo_port, _single(home, plan) as single:
            service = service_at(plan.host, plan.port or (single.port if single else 0), plan.lane)
            found = [
                _scenario(_Ground(plan, home / name, echo_port, single), name, progress) for name in plan.scenarios
            ]
    return model.Report(
        started_at=started_at.isoformat(timespec="seconds"),
        took_s=time.monotonic() - begun_s,
        seed=plan.seed,
        quick=plan.is_quick,
        url=plan.url,
        machine=this_machine(plan.directory),
        service=service,
        options={
            "rounds": plan.rounds,
            "slice_s": plan.slice_s,
            "connections": plan.connections,
            "faults": plan.has_faults,
            **({"without": "CPU, RSS, faults, one commit a request: --url"} if plan.url else {}),
        },
        scenarios=found,
    )


@dataclass(frozen=True, slots=True)
class _Ground:
    """Where one scenario runs."""

    plan: Plan
    home: Path
    echo_port: int
    single: Server | None

    def begin(self, scenario: str, server: Server | None) -> Begin:
        """Return the first command for its clients."""
        plan = self.plan
        return Begin(
            scenario=scenario,
            host=plan.host,
            port=server.port if server else plan.port,
            echo_port=self.echo_port,
            single_port=self.single.port if self.single else None,
            # Each run has projects of its own; in a service of its own they may as well have plain names.
            run=f"{time.time_ns() // 1_000_000:x}" if plan.url else "",
            directory=str(self.home),
            seed=plan.seed,
            is_quick=plan.is_quick,
            has_faults=plan.has_faults,
            pid=server.process.pid if server else None,
            connections=plan.connections,
            echo_s=plan.echo_s,
            commits_s=plan.commits_s,
            single_s=plan.single_s,
            slice_s=plan.slice_s,
        )


def _scenario(ground: _Ground, name: str, progress: Progress) -> model.Scenario:
    ground.home.mkdir()
    # The clients start first: both need half a second, at the same time.
    with Clients() as clients, _service(ground) as server:
        scene = _Scene(name, ground.plan, server, clients, progress)
        try:
            scene.run(ground.begin(name, server))
        except (ClientsFailed, ServerFailed) as failed:
            scene.violation = model.Violation(promise=WRONG_ANSWER, explanation=str(failed), history=[])
            clients.end()
        return scene.found()


@contextmanager
def _service(ground: _Ground) -> Iterator[Server | None]:
    if ground.plan.url is not None:
        yield None
        return
    with running(ground.home / "service", "--lane", ground.plan.lane) as server:
        yield server


@contextmanager
def _single(home: Path, plan: Plan) -> Iterator[Server | None]:
    if plan.url is not None:
        yield None
        return
    with running(home / "single", "--batch-max", "1", "--lane", plan.lane) as server:
        yield server


def judged(wanted: Wanted, measures: Sequence[model.Measure], plan: Plan) -> model.Target:
    """Hold the median of a measure against a target; a run that cannot tell says why."""
    values = next((measure.values for measure in measures if measure.name == wanted.measure), [])
    value = statistics.median(values) if values else 0.0
    is_met: bool | None = wanted.is_met(value)
    why = ""
    if not values:
        is_met, why = None, "needs a service of its own, and --url names one" if plan.url else "it was not measured"
    elif plan.has_faults:
        is_met, why = None, "the service was killed meanwhile"
    return model.Target(name=wanted.measure, value=value, wanted=wanted.text, is_met=is_met, why=why)


def _complaints(server: Server) -> list[str]:
    """Return the last lines of the service's log that are more than information."""
    lines = [line for line in server.log.splitlines() if '"level": "info"' not in line]
    return [f"service's log: {line}" for line in lines[-_LOG_LINES:]]
