"""kill -9 at named points of the service, amid the writes of eight clients (guarantees.md G1, G5, G6).

Each life of the service serves the same data: clients write messages, acknowledgements, reservations and entities until it
dies, the files are checked as they were left, and the next one is asked for everything that was ever acknowledged.
"""

import random
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import apsw
import httpx
from calls import good, refusal, send
from failing_server import PROGRAM, VARIABLE
from server_process import PATIENCE_S, POLL_S, ServerProcess
from told import Told, check

CLIENTS: Final = 8
PATHS: Final = 8
LIVES_OF_A_PROJECT: Final = 12
"""After so many lives the clients go on in a new project, so that looking at all of it stays cheap."""
AT_RANDOM: Final = "at random"
_MEETS: Final = {
    "enqueue": 200, "BEGIN": 60, "COMMIT": 60, "reply": 150, "push": 60, "before checkpoint": 150, "after checkpoint": 4
}  # fmt: skip
"""How often a point is met at most before it kills; about one second's worth."""
_LIFE_MAX_S: Final = 6.0  # seconds; a life in which the point is not met so often ends at random.


@dataclass
class Kills:
    """What the lives of the service have shown."""

    ended_at: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    died_early: int = 0
    """How many died before they had answered for the data."""
    restart_s: list[float] = field(default_factory=list)
    """From the start of the process to its first answer about the data."""


def run_kills(home: Path, seed: int, points: Sequence[str]) -> Kills:
    """Let the service live and die at each of these points, checking all that was acknowledged. Raises: AssertionError."""
    chance, kills, told = random.Random(seed), Kills(), Told()
    for life, point in enumerate([*points, AT_RANDOM]):
        if life % LIVES_OF_A_PROJECT == 0:
            kills.acknowledged += told.count
            told = Told(f"project-{life}")
        started_s = time.monotonic()
        with ServerProcess(home, program=(PROGRAM,), changes={VARIABLE: _failpoint(point, chance)}) as server:
            own_chance, ends_after_s = random.Random(chance.random()), chance.uniform(0.1, 1.0)
            if is_met := not _check(server, told):
                kills.died_early += 1
            else:
                kills.restart_s.append(time.monotonic() - started_s)
                if life == len(points):
                    break  # The last one is there to answer.
                is_met = _live(server, told, life, own_chance, ends_after_s, point)
            kills.ended_at[point if is_met else AT_RANDOM] += 1
        check_files(server.data, home / "copy")
    kills.acknowledged += told.count
    return kills


def _failpoint(point: str, chance: random.Random) -> str:
    if point == AT_RANDOM:
        return ""
    most = _MEETS.get(point) or _MEETS[point.split()[1]]
    return f"kill {point} {chance.randrange(1, most)}"


def _check(server: ServerProcess, told: Told) -> bool:
    """Check everything that was told, and that cursors go on; False if the service died meanwhile, as it may."""
    try:
        with server.client() as client:
            check(client, told)
            highest, name = max(told.cursors, default=0), f"probe-{time.monotonic_ns()}"
            sent = send(client, told.project, "probe", ["reader"], id=name, body=name)
    except httpx.TransportError:
        server.process.wait(PATIENCE_S)
        return False
    assert sent["cursor"] > highest, "cursors only grow"
    told.messages[name] = sent
    return True


def _live(server: ServerProcess, told: Told, life: int, chance: random.Random, ends_after_s: float, point: str) -> bool:
    """Let clients write until the service dies; tell whether it died at its point."""
    ends_s = time.monotonic() + (ends_after_s if point == AT_RANDOM else _LIFE_MAX_S)
    with ThreadPoolExecutor(CLIENTS) as threads:
        try:
            writers = [
                threads.submit(_write_until_the_end, server, told, f"w{life}-{at}", random.Random(chance.random()))
                for at in range(CLIENTS)
            ]
            while server.process.poll() is None and time.monotonic() < ends_s:
                time.sleep(POLL_S)
            is_met = server.process.poll() is not None
        finally:
            server.kill()
        for writer in writers:
            writer.result(PATIENCE_S)
    return is_met


def _write_until_the_end(server: ServerProcess, told: Told, name: str, chance: random.Random) -> None:
    with server.client() as client:
        for turn in range(100_000):
            try:
                _write_once(client, told, name, f"{name}-{turn}", chance)
            except httpx.TransportError:
                return


def _write_once(client: httpx.Client, told: Told, name: str, key: str, chance: random.Random) -> None:
    text = key + "." * (4000 if chance.random() < 0.2 else 0)
    sent = send(client, told.project, name, ["reader"], id=key, body=text)
    with told.lock:
        told.messages[key] = sent
    match chance.randrange(3):
        case 0:
            body = {"agent": "reader"}
            good(client.post(f"/api/messages/{key}/ack", params={"project": told.project}, json=body))
            with told.lock:
                told.acked.add(key)
        case 1:
            _write_entity(client, told, key)
        case _:
            _reserve(client, told, name, chance)


def _write_entity(client: httpx.Client, told: Told, key: str) -> None:
    body = {"project": told.project, "id": key, "title": "first"}
    good(client.post("/api/specs", json=body), 201)
    with told.lock:
        told.titles[key] = {"first", "second"}
    good(client.patch(f"/api/specs/{key}", json={"project": told.project, "title": "second"}))
    with told.lock:
        told.titles[key] = {"second"}


def _reserve(client: httpx.Client, told: Told, name: str, chance: random.Random) -> None:
    path = f"src/{chance.randrange(PATHS)}.py"
    body = {"project": told.project, "agent_id": name, "path_pattern": path}
    answer = client.post("/api/reservations", json=body)
    if answer.status_code != 201:
        refusal(answer, 409, "reservation_conflict")
        return
    held = answer.json()
    with told.lock:
        told.granted[held["id"]] = held
    if chance.random() < 0.8:
        with told.lock:
            told.maybe_released.add(held["id"])
        good(client.delete(f"/api/reservations/{held['id']}", headers={"X-Agent-ID": name}))
        with told.lock:
            told.released.add(held["id"])


def check_files(data: Path, copy: Path) -> None:
    """Check each file as the dead process has left it, on a copy, so that the service recovers the original itself."""
    for path in data.rglob("*.db"):
        copy.mkdir(exist_ok=True)
        for each in path.parent.glob(f"{path.name}*"):
            if not each.name.endswith("-shm"):
                shutil.copy(each, copy)
        connection = apsw.Connection(str(copy / path.name))
        try:
            assert connection.execute("PRAGMA quick_check").fetchall() == [("ok",)], path.name
        finally:
            connection.close()
            shutil.rmtree(copy)
