"""The clients' process: `python -m loadtest.engine.clients`, which takes commands from standard input.

A process of its own, so that what the run does beside it (the progress bar, restarting the service) takes no time from the
clients. It makes one scenario, lets it prepare, measures references and loads slices as it is told, and tells what it saw.
"""

import gc
import resource
import sys
import time
from pathlib import Path

import trio

from loadtest.engine.connection import LoadFailed
from loadtest.engine.pace import closed_loop
from loadtest.engine.references import Commits, EchoAsker
from loadtest.engine.samples import Samples
from loadtest.engine.site import Scenario, Site
from loadtest.engine.slices import References, Slice
from loadtest.engine.talk import AskReferences, Begin, Done, LoadSlice, Reply, Seen, Sliced, Verify, commands, line_of
from loadtest.promises.durability import Durability
from loadtest.promises.history import Violation
from loadtest.report import model
from loadtest.scenarios import SCENARIOS, reserver
from loadtest.scenarios.reserver import Reserver

_DESCRIPTORS = 65_536  # descriptors asked for; a thousand sockets are more than a shell's usual 1,024 allow.


class Party:
    """One scenario and what it needs: its sites, its samples, the references of the present round."""

    def __init__(self, begin: Begin) -> None:
        self._begin = begin
        self.scenario: Scenario = SCENARIOS[begin.scenario]()
        self.samples = Samples()
        self.site = self._site(begin.port, begin.host, begin.pid, has_faults=begin.has_faults)
        self._echo = self._site(begin.echo_port, "127.0.0.1", None)
        self._single = None if begin.single_port is None else self._site(begin.single_port, "127.0.0.1", None)
        self._reservers: list[Reserver] = []
        self._references = References()

    def _site(self, port: int, host: str, pid: int | None, *, has_faults: bool = False) -> Site:
        begin = self._begin
        return Site(
            port=port,
            host=host,
            pid=pid,
            seed=begin.seed,
            is_quick=begin.is_quick,
            directory=Path(begin.directory),
            has_faults=has_faults,
            run=begin.run,
            connections=begin.connections,
        )

    async def prepare(self) -> None:
        """Prepare the scenario, and the agents of the service with one commit a request."""
        if self._single is not None:
            kept = Durability(self._single.watch.history, "reservations")
            project = f"single-{self._begin.scenario}"
            self._reservers = [
                Reserver(self._single, project, number, kept) for number in range(self._begin.connections)
            ]
            await reserver.begin(self._single, self._reservers)
        await self.scenario.prepare(self.site)

    async def references(self) -> References:
        """Measure the references, one after the other."""
        begin = self._begin
        askers = [EchoAsker(begin.echo_port) for _ in range(begin.connections)]
        echo = await closed_loop(self._echo, None, askers, begin.echo_s)
        with Commits(self.site.directory) as commits:
            per_s, commit_ms = commits.load(begin.commits_s)
        self._references = References(echo.per_s, per_s, commit_ms)
        if self._single is not None:
            single = await closed_loop(self._single, None, self._reservers, begin.single_s)
            self._references.one_commit_per_request_per_s = single.rate("reserve")
        return self._references

    async def slice(self, command: LoadSlice) -> model.Round:
        """Load one slice."""
        self.site.pid = command.pid
        slice_ = Slice(self.site, self.samples, command.number, self._begin.slice_s, self._references)
        begun_s, cpu_s = time.perf_counter(), time.process_time()
        recorded, service_cpu_s = self.samples.recorded, self.site.service_cpu_s()
        await self.scenario.load(self.site, slice_)
        ended_s = time.perf_counter()
        self.samples.end_round(ended_s)
        seconds = ended_s - begun_s
        requests = self.samples.recorded - recorded
        main, references = slice_.main, self._references
        service_us = (self.site.service_cpu_s() - service_cpu_s) / max(requests, 1) * 1e6
        return model.Round(
            seconds=seconds,
            requests=requests,
            per_s=main.per_s if main else requests / seconds,
            echo_per_s=references.echo_per_s,
            commits_per_s=references.commits_per_s,
            commit_ms=references.commit_ms,
            one_commit_per_request_per_s=references.one_commit_per_request_per_s,
            server_cpu_us=0.0 if self.site.has_faults else main.server_cpu_us if main else service_us,
            server_rss_mb=self.site.service_rss_mb(),
            clients_cpu_share=main.clients_cpu_s / main.seconds if main else (time.process_time() - cpu_s) / seconds,
        )

    def seen(self) -> Seen:
        """Return all that was seen so far."""
        return Seen(self.samples.operations(), list(self.site.measures.values()), self.site.watch.checked())


async def _serve() -> None:
    party: Party | None = None
    for line in iter(sys.stdin.buffer.readline, b""):
        command = commands.decode(line)
        if isinstance(command, Begin):
            party = Party(command)
        assert party is not None, "the first command is Begin"
        try:
            reply = await _reply(party, command)
        except Violation as broken:
            reply = party.seen()
            reply.violation = model.Violation(
                promise=broken.promise, explanation=broken.explanation, history=broken.history
            )
        except LoadFailed as failed:
            reply = party.seen()
            reply.failure = str(failed)
        sys.stdout.buffer.write(line_of(reply))
        sys.stdout.buffer.flush()


async def _reply(party: Party, command: Begin | AskReferences | LoadSlice | Verify) -> Reply:
    match command:
        case Begin():
            await party.prepare()
            gc.collect()
            gc.freeze()
            return Done()
        case AskReferences():
            return Done(await party.references())
        case LoadSlice():
            return Sliced(await party.slice(command))
        case Verify():
            await party.scenario.verify(party.site)
            return party.seen()


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, _DESCRIPTORS), hard), hard))
    trio.run(_serve)
