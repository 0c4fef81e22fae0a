"""A project's write path on the recording disk, and what must be true of whatever a power cut leaves (guarantees.md G2).

Acknowledged is a part of recovered, recovered is a prefix of what was written, and the file is whole.
"""

import random
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import apsw
import trio
import trio.testing
from disk_walk import in_mocked_time
from fault_checks import half_states
from fault_scenario import Step, acknowledgement, entity, intent, message, prove_alive, registration, reservation
from open_projects import DEMO, Service, serving
from power import Image, Recording, opened_connections, recording_disk

from intermute.core.entities.definition import Kind
from intermute.core.errors import DomainError, NotARecipient, ReservationConflict
from intermute.store.connection import close, open_reader, open_writer
from intermute.store.directory import DataDirectory
from intermute.store.faults import StoreFault
from intermute.store.migrate import schema_version
from intermute.store.writer import WAL_PAGES_MAX

BATCHES: Final = 40
LARGE_CHARS: Final = 200_000
"""A message that fills fifty pages, so that the log is moved into the file now and then."""
_EVENTS: Final = "SELECT cursor, type, data FROM events ORDER BY cursor"
_SPEC: Final = "SELECT 1 FROM specs WHERE id = :id"


@dataclass
class Run:
    """What was written in one run, what was answered to it, and the log at its end."""

    recording: Recording
    steps: list[Step] = field(default_factory=list)
    log: list[tuple[object, ...]] = field(default_factory=list)


def record(root: Path, seed: int, *, synchronous: str = "FULL") -> Run:
    """Write for a while and note all of it; `synchronous` other than FULL is the control."""
    with recording_disk() as recording, opened_connections() as connections:
        run = Run(recording)
        in_mocked_time(partial(_write, root, run, random.Random(seed), connections, synchronous))
    connection = open_reader(DataDirectory(root).path_of(DEMO))
    run.log = connection.execute(_EVENTS).fetchall()
    close(connection)
    return run


async def _write(
    root: Path, run: Run, chance: random.Random, connections: list[apsw.Connection], synchronous: str
) -> None:
    async with serving(root) as service:
        for batch in _batches(chance):
            if synchronous != "FULL":
                _weaken(connections, synchronous)
            if batch is None:
                await service.stop_project()
            else:
                await _together(service, run, batch)
            await trio.sleep(chance.choice((0.0, 0.0, 1.0, 40.0)))


def _weaken(connections: list[apsw.Connection], synchronous: str) -> None:
    for connection in list(connections):
        try:
            connection.execute(f"PRAGMA synchronous = {synchronous}")
        except apsw.ConnectionClosedError:
            connections.remove(connection)


async def _together(service: Service, run: Run, batch: list[Step]) -> None:
    """Ask everything at once and note each answer in the very step in which it comes."""

    async def one(number: int, step: Step) -> None:
        try:
            await service.run(step.command)
        except (ReservationConflict, NotARecipient):
            return
        run.recording.acknowledge(number)

    service.gate.shut()
    async with trio.open_nursery() as nursery:
        for step in batch:
            run.steps.append(step)
            nursery.start_soon(one, len(run.steps) - 1, step)
            await trio.testing.wait_all_tasks_blocked()
        service.gate.open()


def _batches(chance: random.Random) -> Iterator[list[Step] | None]:
    """Yield batches of one to six commands; None closes the project, which the next batch opens again."""
    pages, number, sent = 0, 0, ["m0"]
    reopens_at = {chance.randrange(5, BATCHES), chance.randrange(5, BATCHES)}
    yield [registration("anna"), registration("ben"), message("m0", "first")]
    for batch in range(BATCHES):
        if batch in reopens_at:
            yield None
            pages = 0
        steps: list[Step] = []
        for _ in range(chance.randrange(1, 7)):
            number += 1
            name, agent = f"x{number}", chance.choice(("anna", "ben", "carl"))
            match chance.randrange(6):
                case 0 | 1:
                    is_large = pages < WAL_PAGES_MAX + 200 and chance.random() < 0.7
                    pages += 52 if is_large else 10
                    steps.append(message(name, "y" * LARGE_CHARS if is_large else name))
                    sent.append(name)
                case 2:
                    steps.append(acknowledgement(chance.choice(sent), chance.choice(("ben", "carl"))))
                case 3:
                    steps.append(reservation(f"d{chance.randrange(9)}/{name}", agent=agent, ttl_s=60))
                case 4:
                    steps.append(entity(Kind.SPEC, "create", name, _SPEC, title=name))
                case _:
                    steps.append(intent(f"src/{name}", agent))
        yield steps


def cuts_of(run: Run, count: int, chance: random.Random) -> Iterator[Image]:
    """Yield that many images of random cuts, the earliest first."""
    cuts = sorted(chance.randrange(len(run.recording.entries) + 1) for _ in range(count))
    return run.recording.images(cuts, chance)


def problems(run: Run, image: Image, root: Path, *, restarts: bool) -> list[str]:
    """Return what is wrong with what the cut left; with `restarts` the service is also started on it."""
    image.write(root)
    try:
        found = _problems_of_files(run, image, root)
        if restarts and not found:
            found = in_mocked_time(partial(_serve, root))
    finally:
        shutil.rmtree(root)
    return [f"cut at {image.cut_at}, {image.loss}: {each}" for each in found]


def _problems_of_files(run: Run, image: Image, root: Path) -> list[str]:
    path = DataDirectory(root).path_of(DEMO)
    try:
        connection = open_writer(path)
        try:
            whole = [row[0] for row in connection.execute("PRAGMA integrity_check")]
            if whole != ["ok"]:
                return [f"not whole: {whole[:2]}"]
            if schema_version(connection) == 0:
                return ["all is lost"] if image.acknowledged else []
            log = connection.execute(_EVENTS).fetchall()
            lost = [run.steps[at] for at in sorted(image.acknowledged) if not _is_there(run.steps[at], connection)]
        finally:
            close(connection)
        found = [f"lost though acknowledged: {step.command!r:.80}" for step in lost]
        if log != run.log[: len(log)]:
            found.append("not a prefix of what was written")
        return found + half_states(root)
    except (StoreFault, apsw.Error) as error:
        return [f"cannot be read: {error}"]


def _is_there(step: Step, connection: apsw.Connection) -> bool:
    return step.is_applied is None or step.is_applied(connection)


async def _serve(root: Path) -> list[str]:
    async with serving(root) as service:
        try:
            await prove_alive(service)
        except DomainError as error:
            return [f"does not serve: {error!r}"]
    return []


def cut_often(root: Path, seed: int, cuts: int, *, synchronous: str = "FULL") -> tuple[list[str], Counter[str]]:
    """Record one run and cut it this often; return the problems and how often which loss was tried."""
    run = record(root / "recorded", seed, synchronous=synchronous)
    tried: Counter[str] = Counter()
    found: list[str] = []
    for number, image in enumerate(cuts_of(run, cuts, random.Random(seed))):
        tried[str(image.loss)] += 1
        found += problems(run, image, root / str(number), restarts=number % 5 == 0)
    return found, tried
