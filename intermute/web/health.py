"""The health report: what /health shows of every part. Source: design.md 5, contract.md 1.1."""

import os
from typing import Any

import apsw
import trio

from intermute import __version__
from intermute.core.api.system import HealthView
from intermute.core.breaker import BreakerState
from intermute.project.registry import CHILD_PREFIX, Registry
from supervisor import ChildHealth, ChildState, Supervisor

_WELL = frozenset({ChildState.RUNNING, ChildState.STOPPED})


class HealthReport:
    """Asks the supervisor and the projects; never the disk."""

    def __init__(self, registry: Registry, supervisor: Supervisor) -> None:
        self._registry, self._supervisor = registry, supervisor
        self._started_s = trio.current_time()

    def view(self, project: str | None, *, has_details: bool) -> HealthView:
        """Return the report; without details only that the service is alive. `project` narrows it to one."""
        problem = self._registry.room.problem()
        status = "ok" if problem is None else "degraded"
        if not has_details:
            return HealthView(status=status)
        children = self._supervisor.health()
        return HealthView(
            status=status,
            why=None if problem is None else [problem],
            projects=[
                self._project(child, name.removeprefix(CHILD_PREFIX))
                for child in children
                if (name := child.name).startswith(CHILD_PREFIX)
                and child.state is not ChildState.STOPPED
                and project in (None, name.removeprefix(CHILD_PREFIX))
            ]
            + [
                {"project": name, "state": "quarantined", "since": report.at, "reason": report.reason}
                for name, report in self._registry.ward.reports.items()
                if project in (None, name)
            ],
            process=None if project is not None else self._process(children),
        )

    def ailing(self) -> list[str]:
        """Return the names of the parts that are out of order."""
        found = [child.name for child in self._supervisor.health() if child.state not in _WELL or child.is_stalled]
        found += [
            project.name
            for project in self._registry.open_projects()
            if project.breaker.state(trio.current_time()) is not BreakerState.CLOSED
        ]
        found += list(self._registry.ward.reports)
        return found if self._registry.room.problem() is None else [*found, "disk"]

    def _project(self, child: ChildHealth, name: str) -> dict[str, Any]:  # Any: see HealthView.
        opened = next((each for each in self._registry.open_projects() if each.name == name), None)
        return {"project": name, **_child(child), **(opened.report() if opened else {})}

    def _process(self, children: tuple[ChildHealth, ...]) -> dict[str, Any]:  # Any: see HealthView.
        return {
            "version": __version__,
            "sqlite_version": apsw.sqlite_lib_version(),
            "pid": os.getpid(),
            "uptime_s": round(trio.current_time() - self._started_s, 1),
            "open_projects": len(self._registry.open_projects()),
            "disk": self._registry.room.report(),
            "waiting_readers": len(self._registry.arrivals),
            "parts": [
                {"name": child.name, **_child(child)} for child in children if not child.name.startswith(CHILD_PREFIX)
            ],
        }


def _child(child: ChildHealth) -> dict[str, Any]:  # Any: see HealthView.
    return {
        "state": "stalled" if child.is_stalled else child.state,
        "restarts": child.restarts,
        "last_error": child.last_error,
        "mailbox_depth": child.mailbox_depth,
        "busy_for_s": None if child.busy_for_s is None else round(child.busy_for_s, 3),
        "next_restart_in_s": None if child.next_restart_in_s is None else round(child.next_restart_in_s, 1),
    }
