"""kill -9 while requests wait for their turn: no grant is lost, nobody is told of one that is not there (issue 3, point 5)."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from calls import Json, good, release
from server_process import PATIENCE_S, ServerProcess, until

RESERVATIONS = "/api/reservations"
WAITERS = ("ben", "carl", "dora")


def wish(agent: str) -> Json:
    """Return a request that waits for what anna holds, under a key by which it can be sent again."""
    return {
        "project": "acme", "agent_id": agent, "paths": ["src/a.py"], "on_conflict": "wait", "wait_seconds": 30,
        "idempotency_key": f"{agent}-1",
    }  # fmt: skip


def asking(server: ServerProcess, threads: ThreadPoolExecutor) -> Mapping[str, "Future[httpx.Response]"]:
    """Have everybody ask, one after the other, and return once all of them wait."""

    def ask(agent: str) -> httpx.Response:
        with server.client() as own:
            return own.post(RESERVATIONS, json=wish(agent))

    calls: dict[str, Future[httpx.Response]] = {}
    for agent in WAITERS:
        calls[agent] = threads.submit(ask, agent)
        until(lambda: len(waiting(server)) == len(calls), f"{agent} in the queue")
    return calls


def waiting(server: ServerProcess) -> list[str]:
    """Return who waits, the first come first."""
    with server.client() as client:
        found = good(client.get(f"{RESERVATIONS}/waiting", params={"project": "acme"}))["waiting"]
    return [each["held_by"] for each in found]


def test_kill_empties_the_queue_and_loses_no_grant(tmp_path: Path) -> None:
    """Anna still holds what she held; the three ask again and get their turns in the order in which they do."""
    with ThreadPoolExecutor(len(WAITERS)) as threads:
        with ServerProcess(tmp_path) as server, server.client() as client:
            body = {"project": "acme", "agent_id": "anna", "paths": ["src/a.py"]}
            held = good(client.post(RESERVATIONS, json=body), 201)
            calls = asking(server, threads)
            server.kill()
            for call in calls.values():
                with pytest.raises(httpx.TransportError):
                    call.result(PATIENCE_S)

        with ServerProcess(tmp_path) as server, server.client() as client:
            assert waiting(server) == []
            listed = good(client.get(RESERVATIONS, params={"project": "acme"}))["reservations"]
            assert [(each["id"], each["fence"]) for each in listed] == [(held["id"], held["fence"])]
            calls = asking(server, threads)

            last = held
            for agent in WAITERS:
                release(client, last["id"])
                last = good(calls[agent].result(PATIENCE_S), 201)
                assert last["agent_id"] == agent


def test_kill_after_a_grant_that_nobody_heard_of_leaves_one_grant(tmp_path: Path) -> None:
    """Ben was granted and the server died before he knew, as far as he can tell: his second sending finds that grant."""
    with ServerProcess(tmp_path) as server, server.client() as client:
        granted = good(client.post(RESERVATIONS, json=wish("ben")), 201)
        server.kill()

    with ServerProcess(tmp_path) as server, server.client() as client:
        again = good(client.post(RESERVATIONS, json=wish("ben")))
        listed = good(client.get(RESERVATIONS, params={"project": "acme"}))["reservations"]

    assert (again["id"], again["repeated"]) == (granted["id"], True)
    assert [each["id"] for each in listed] == [granted["id"]]
