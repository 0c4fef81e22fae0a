"""Plans, and what is foreseen of them, as several tests ask for it."""

from typing import Any

import apsw
from handler_bench import LOCAL, START_S, START_US, Bench

from intermute.core.api.forecasts import Forecasted, ForecastPlan, PlanStep, StepFinding
from intermute.core.blast_radius import Call, CallGraph
from intermute.core.claim_records import Claim, ClaimTarget
from intermute.core.claim_targets import parse_path
from intermute.core.ids import AgentId
from intermute.core.lock_table import Mode
from intermute.core.reservation import Reservation
from intermute.project.handlers import forecasts
from intermute.project.transaction import Desk

F, CALLER, FAR = "src/f.py::f", "src/api.py::pay", "src/web.py::page"
GRAPH = CallGraph([Call(CALLER, F, 1.0), Call(FAR, CALLER, 1.0)])
COMMIT = "467234bf"


def step(name: str, agent: str, *patterns: str, **more: Any) -> PlanStep:  # Any: fields of the step.
    """Return a step of an agent."""
    return PlanStep(step=name, agent_id=agent, patterns=list(patterns) or None, **more)


def foreseen(bench: Bench, *steps: PlanStep, **more: Any) -> Forecasted:  # Any: fields of the query.
    """Return the forecast of a plan."""
    found: Forecasted = bench.ask(ForecastPlan(plan=list(steps), **more))
    return found


def foreseen_with_graph(bench: Bench, *steps: PlanStep, **more: Any) -> Forecasted:  # Any: fields of the query.
    """Return the same in a project whose call graph is `GRAPH`."""

    def load(_connection: apsw.Connection, _fold_case: bool) -> tuple[CallGraph, str]:
        return GRAPH, COMMIT

    desk = Desk(bench.state, bench.now(), LOCAL)
    return forecasts.forecast_plan(ForecastPlan(plan=list(steps), **more), desk, load).work(bench.connection)


def findings(forecast: Forecasted, name: str) -> list[StepFinding]:
    """Return what a step meets."""
    [found] = [each.findings for each in forecast.steps if each.step == name]
    return found


def fill(bench: Bench, count: int) -> None:
    """Have others hold so many files, as if all of it had been stored long ago."""
    for number in range(1, count + 1):
        targets = (ClaimTarget(0, parse_path(f"held/{number}.py"), Mode.X),)
        claim = Claim(f"r{number}", number, AgentId("holder"), targets, expires_at_us=START_US)
        bench.state.leases.load(Reservation(claim, "", START_US, START_S + 3600, number))
