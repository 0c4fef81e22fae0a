"""kill -9 amid concurrent writes: what was acknowledged is there, and nothing is held twice (guarantees.md G1, G5, G6).

Each cycle starts the server on the same data, lets clients write without pause, kills it, starts it again and compares
what it says with what the clients were told.
"""

import random
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
import pytest
from calls import Json, events, good, refusal, send
from server_process import PATIENCE_S, ServerProcess, until

CYCLES = 5
WRITERS = 6
PATHS = 8
SEED = 20_260_722


@dataclass
class Told:
    """What clients were told, over all cycles."""

    messages: dict[str, Json] = field(default_factory=dict)
    granted: dict[str, Json] = field(default_factory=dict)
    maybe_released: set[str] = field(default_factory=set)
    released: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def has_messages(self, count: int) -> bool:
        """Tell whether that many messages were acknowledged."""
        return len(self.messages) >= count

    @property
    def cursors(self) -> list[int]:
        """Every cursor that anybody was told."""
        return [sent["cursor"] for sent in self.messages.values()] + [held["fence"] for held in self.granted.values()]


def write_until_the_end(server: ServerProcess, told: Told, name: str, chance: random.Random) -> None:
    """Send, reserve and release until the server is gone; note what was answered, and what was asked and not answered."""
    with server.client() as client:
        for turn in range(100_000):
            try:
                _write_once(client, told, name, f"{name}-{turn}", chance)
            except httpx.TransportError:
                return


def _write_once(client: httpx.Client, told: Told, name: str, message_id: str, chance: random.Random) -> None:
    body = {"project": "acme", "from": name, "to": ["reader"], "id": message_id, "body": message_id}
    sent = good(client.post("/api/messages", json=body))
    with told.lock:
        told.messages[message_id] = sent
    path = f"src/{chance.randrange(PATHS)}.py"
    answer = client.post("/api/reservations", json={"project": "acme", "agent_id": name, "path_pattern": path})
    if answer.status_code != 201:
        refusal(answer, 409, "reservation_conflict")
        return
    held = answer.json()
    with told.lock:
        told.granted[held["id"]] = held
    if chance.random() < 0.7:
        with told.lock:
            told.maybe_released.add(held["id"])
        good(client.delete(f"/api/reservations/{held['id']}", headers={"X-Agent-ID": name}))
        with told.lock:
            told.released.add(held["id"])


def whole_log(client: httpx.Client) -> list[Json]:
    """Return every event of the project."""
    log: list[Json] = []
    while page := events(client, "acme", log[-1]["cursor"] if log else 0):
        log += page
    return log


def check(client: httpx.Client, told: Told) -> None:
    """Compare what the server says now with what its clients were told before."""
    log = whole_log(client)
    cursors = [event["cursor"] for event in log]
    assert cursors == sorted(set(cursors)), "cursors grow and are never used twice"
    assert set(told.cursors) <= set(cursors), "every acknowledged change is in the log"

    stored = {event["message_id"]: event["cursor"] for event in log if event["type"] == "message.created"}
    assert {name: sent["cursor"] for name, sent in told.messages.items()}.items() <= stored.items()
    received = 0
    while page := good(client.get(f"/api/inbox/reader?project=acme&limit=1000&since_cursor={received}"))["messages"]:
        assert all(message["body"] == message["id"] for message in page)
        for message in page:
            assert stored.pop(message["id"]) == message["cursor"]
        received = page[-1]["cursor"]
    assert stored == {}, "every logged message is in the inbox, once"

    listed = good(client.get("/api/reservations?project=acme&limit=1000"))["reservations"]
    active = {held["id"]: held for held in listed}
    assert {identity for identity in told.granted if identity not in told.maybe_released} <= set(active)
    assert not told.released & set(active)
    holders: dict[str, set[str]] = defaultdict(set)
    for held in active.values():
        holders[held["path_pattern"]].add(held["agent_id"])
    assert all(len(agents) == 1 for agents in holders.values()), f"held twice: {holders}"


def check_history(log: list[Json]) -> None:
    """Replay the log: at no moment do two agents hold one path."""
    holding: dict[str, dict[str, str]] = defaultdict(dict)
    for event in log:
        if event["type"] == "reservation.created":
            holding[event["path_pattern"]][event["reservation_id"]] = event["agent_id"]
            assert len(set(holding[event["path_pattern"]].values())) == 1, event
        elif event["type"].startswith("reservation."):
            del holding[event["path_pattern"]][event["reservation_id"]]


@pytest.mark.parametrize("seed", [SEED])
def test_kill_loses_nothing_that_was_acknowledged(tmp_path: Path, seed: int) -> None:
    """Five times: start, check everything ever acknowledged, write from six clients, kill -9."""
    told, chance = Told(), random.Random(seed)
    for cycle in range(CYCLES + 1):
        with ServerProcess(tmp_path) as server:
            with server.client() as client:
                check(client, told)
                highest = max(told.cursors, default=0)
                assert send(client, "acme", "probe", ["reader"], id=f"p-{cycle}", body=f"p-{cycle}")["cursor"] > highest
                if cycle == CYCLES:
                    check_history(whole_log(client))
                    break
            enough = len(told.messages) + chance.randrange(50, 250)
            with ThreadPoolExecutor(WRITERS) as threads:
                writers = [
                    threads.submit(
                        write_until_the_end, server, told, f"w{cycle}-{number}", random.Random(chance.random())
                    )
                    for number in range(WRITERS)
                ]
                until(partial(told.has_messages, enough), "enough writes")
                server.kill()
                for writer in writers:
                    writer.result(PATIENCE_S)

    assert len(told.messages) >= 50 * CYCLES
    assert told.granted
    assert told.released


def test_check_notices_a_lost_write(tmp_path: Path) -> None:
    """Negative control: had a client been told of a change that is not there, the comparison would fail."""
    with ServerProcess(tmp_path) as server, server.client() as client:
        sent = send(client, "acme", "w", ["reader"], id="m-1", body="m-1")
        told = Told(messages={"m-1": sent})
        check(client, told)

        told.messages["m-2"] = {"cursor": sent["cursor"] + 1}
        with pytest.raises(AssertionError, match="in the log"):
            check(client, told)


def test_repeated_send_after_a_crash_is_stored_once(tmp_path: Path) -> None:
    """A client that does not know whether its message was stored repeats it with the same id, and it is there once."""
    with ServerProcess(tmp_path) as server, server.client() as client:
        first = send(client, "acme", "w", ["reader"], id="m-1", body="m-1")
        server.kill()

    with ServerProcess(tmp_path) as server, server.client() as client:
        again = send(client, "acme", "w", ["reader"], id="m-1", body="m-1")

        assert (again["cursor"], again["replayed"]) == (first["cursor"], True)
        assert [event["type"] for event in events(client, "acme")] == ["message.created"]
