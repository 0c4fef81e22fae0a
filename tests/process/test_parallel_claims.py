"""Many agents take tasks at the same time: every task is claimed exactly once (issue 4, point 5)."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import httpx
from calls import Json, events, good, refusal
from server_process import PATIENCE_S, ServerProcess

AGENTS = 50
TASKS = 200


def race(server: ServerProcess, run: Callable[[httpx.Client, int], list[Json]]) -> list[list[Json]]:
    """Run this for every agent at once, each over its own connection that is open already."""
    gate = Barrier(AGENTS, timeout=PATIENCE_S)

    def start(number: int) -> list[Json]:
        with server.client() as fresh:
            good(fresh.get("/health"))
            gate.wait()
            return run(fresh, number)

    with ThreadPoolExecutor(AGENTS) as threads:
        return list(threads.map(start, range(AGENTS)))


def make_tasks(client: httpx.Client, project: str) -> list[str]:
    """Make the tasks, and return their ids, the oldest first."""
    ids = [f"task-{number}" for number in range(TASKS)]
    for each in ids:
        good(client.post("/api/tasks", json={"project": project, "id": each, "title": each}), 201)
    return ids


def demand_each_once(client: httpx.Client, project: str, claimed: list[list[Json]], ids: list[str]) -> None:
    """Hold what the agents were told against the list and the log: every task once, by the same agent everywhere."""
    told = {task["id"]: task["agent"] for tasks in claimed for task in tasks}
    assert Counter(task["id"] for tasks in claimed for task in tasks) == Counter(ids)
    listed = good(client.get("/api/tasks", params={"project": project, "status": "running"}))
    assert {task["id"]: task["agent"] for task in listed} == told
    logged = events(client, project, type="task.claimed")
    assert Counter(each["entity_id"] for each in logged) == Counter(ids)
    assert {each["entity_id"]: each["agent_id"] for each in logged} == told


def test_50_agents_take_200_tasks_each_exactly_once(server: ServerProcess, client: httpx.Client, project: str) -> None:
    """Each asks for the next one until there is none: together they get all, and nobody gets what another has."""
    ids = make_tasks(client, project)

    def take_all(own: httpx.Client, number: int) -> list[Json]:
        found: list[Json] = []
        while True:
            answer = own.post("/api/tasks/next", json={"project": project, "agent": f"agent-{number}"})
            if answer.status_code == 404:
                refusal(answer, 404, "no_claimable_task")
                return found
            found.append(good(answer))
            assert found[-1]["agent"] == f"agent-{number}"

    demand_each_once(client, project, race(server, take_all), ids)


def test_50_agents_want_the_same_200_tasks(server: ServerProcess, client: httpx.Client, project: str) -> None:
    """Each names every task, in an order of its own: one gets it, and the others learn who that is."""
    ids = make_tasks(client, project)

    def want_all(own: httpx.Client, number: int) -> list[Json]:
        found: list[Json] = []
        for place in range(TASKS):
            task = ids[(place * 7 + number * 4) % TASKS]
            answer = own.post(f"/api/tasks/{task}/claim", json={"project": project, "agent": f"agent-{number}"})
            if answer.status_code == 200:
                found.append(good(answer))
                continue
            body = refusal(answer, 409)
            assert body["error"] == "task_taken"
            assert body.get("agent") != f"agent-{number}"
        return found

    demand_each_once(client, project, race(server, want_all), ids)
