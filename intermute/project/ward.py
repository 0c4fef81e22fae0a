"""The ward: which projects are damaged, those on their way into quarantine and those that are there.

A project is there until an operator ends it with a command while the server is stopped; so what was read at the start, and
what was taken in since, is all there is.
"""

from functools import partial

import msgspec
import trio

from intermute.core import limits
from intermute.core.errors import ProjectQuarantined
from intermute.core.ids import ProjectName, project_digest
from intermute.project.clock import Clock
from intermute.project.project import Log, Project
from intermute.store.directory import DataDirectory
from intermute.store.quarantine import Report


class Ward:
    """The damaged projects of one data directory."""

    def __init__(self, directory: DataDirectory, clock: Clock, log: Log) -> None:
        self._quarantine, self._clock, self._log = directory.quarantine, clock, log
        found = self._quarantine.reports()
        self._digests = set(found)
        self.reports: dict[ProjectName, Report] = {
            ProjectName(report.project): report for report in found.values() if report is not None
        }
        """By name; a project whose report cannot be read is refused all the same."""
        # As many as can be open, since each of them is told of once.
        self._send, self._receive = trio.open_memory_channel[Project](limits.PROJECTS_LIVE_MAX)

    def holds(self, name: ProjectName) -> bool:
        """Tell whether the project is in quarantine."""
        return bool(self._digests) and project_digest(name) in self._digests

    def check(self, name: ProjectName) -> None:
        """Refuse a project that is in quarantine. Raises: ProjectQuarantined."""
        if self.holds(name):
            raise ProjectQuarantined

    def names(self) -> list[ProjectName]:
        """Return the names of the projects in quarantine."""
        return list(self.reports)

    def await_quarantine(self, project: Project) -> None:
        """Note that a project's file is damaged."""
        self._log("project.damaged", project=project.name, damage=project.damage)
        self._send.send_nowait(project)

    async def next_damaged(self) -> Project:
        """Wait for a project whose file is damaged, and return it."""
        return await self._receive.receive()

    async def take_in(self, project: Project) -> bool:
        """Move the files of a project that nobody has open any more; tell whether that could be done."""
        state, end = project.state, project.writer.chain_end
        begin = partial(
            self._quarantine.begin,
            project.name,
            project.path,
            reason=project.damage or "",
            at_us=self._clock.wall_us(),
            epoch=state.epoch if state else 0,
            head=end.cursor,
            head_hash=end.digest,
        )
        try:
            report = await project.hop(begin)
        except OSError as error:  # It stays open and refused; the next start will find the damage.
            self._log("project.quarantine_failed", project=project.name, error=str(error))
            return False
        self._digests.add(project_digest(project.name))
        self.reports[project.name] = report
        self._log("project.quarantined", **msgspec.structs.asdict(report))
        return True
