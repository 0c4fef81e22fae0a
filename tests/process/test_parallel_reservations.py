"""Many agents race for one path: exactly one gets it (guarantees.md G6)."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import httpx
import pytest
from calls import events, good, refusal, reserve
from server_process import PATIENCE_S, ServerProcess

RACERS = 64


def race(server: ServerProcess, bodies: list[dict[str, object]]) -> list[httpx.Response]:
    """Send all of these reservations at once, each over its own connection that is open already."""
    gate = Barrier(len(bodies), timeout=PATIENCE_S)

    def run(body: dict[str, object]) -> httpx.Response:
        with server.client() as fresh:
            good(fresh.get("/health"))
            gate.wait()
            return fresh.post("/api/reservations", json=body)

    with ThreadPoolExecutor(len(bodies)) as threads:
        return list(threads.map(run, bodies))


def test_one_of_64_racers_gets_the_path(server: ServerProcess, client: httpx.Client, project: str) -> None:
    """64 parallel requests for one path make one 201, and 63 times 409 that name the winner."""
    answers = race(
        server,
        [{"project": project, "agent_id": f"a{number}", "path_pattern": "src/core.py"} for number in range(RACERS)],
    )

    granted = [answer.json() for answer in answers if answer.status_code == 201]
    assert len(granted) == 1
    for answer in answers:
        if answer.status_code != 201:
            body = refusal(answer, 409, "reservation_conflict")
            assert [each["reservation_id"] for each in body["conflicts"]] == [granted[0]["id"]]
            assert body["conflicts"][0]["agent_id"] == granted[0]["agent_id"]
            assert granted[0]["agent_id"] in body["message"]
    assert [event["type"] for event in events(client, project)] == ["reservation.created"]


def test_one_of_64_racers_for_different_but_overlapping_patterns_gets_them(
    server: ServerProcess, client: httpx.Client, project: str
) -> None:
    """Nobody needs to spell the path alike: patterns that all meet in one file are granted once."""
    spellings = [
        "src/**",
        "src/*.py",
        "./src//core.py",
        "**/core.py",
        "src/{core,api}.py",
        "src",
        "s*/core.?y",
        "*/c[a-z]re.py",
    ]
    answers = race(
        server,
        [
            {"project": project, "agent_id": f"a{number}", "path_pattern": spellings[number % len(spellings)]}
            for number in range(RACERS)
        ],
    )

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * (RACERS - 1)
    assert len(good(client.get("/api/reservations", params={"project": project}))["reservations"]) == 1


def test_64_racers_who_share_all_get_the_path(server: ServerProcess, project: str) -> None:
    """Negative control: shared requests do not clash, however many."""
    answers = race(
        server,
        [
            {"project": project, "agent_id": f"a{number}", "path_pattern": "src/core.py", "exclusive": False}
            for number in range(RACERS)
        ],
    )

    assert [answer.status_code for answer in answers] == [201] * RACERS
    fences = [answer.json()["fence"] for answer in answers]
    assert len(set(fences)) == RACERS


@pytest.mark.parametrize("winners", [64])
def test_64_racers_for_different_paths_all_get_theirs(server: ServerProcess, project: str, winners: int) -> None:
    """Negative control: different paths do not clash."""
    answers = race(
        server,
        [{"project": project, "agent_id": f"a{number}", "path_pattern": f"src/{number}"} for number in range(winners)],
    )

    assert [answer.status_code for answer in answers] == [201] * winners


def test_path_goes_from_hand_to_hand_and_is_never_held_twice(server: ServerProcess, project: str) -> None:
    """Agents that take, hold and give back in turn never overlap: each grant starts after the release before it."""
    rounds, agents = 10, 8

    def take_turns(number: int) -> list[str]:
        agent = f"a{number}"
        granted: list[str] = []
        with server.client() as fresh:
            while len(granted) < rounds:
                body = {"project": project, "agent_id": agent, "path_pattern": "src/hot.py"}
                answer = fresh.post("/api/reservations", json=body)
                if answer.status_code == 201:
                    granted.append(answer.json()["id"])
                    good(fresh.delete(f"/api/reservations/{granted[-1]}", headers={"X-Agent-ID": agent}))
                else:
                    refusal(answer, 409, "reservation_conflict")
        return granted

    with ThreadPoolExecutor(agents) as threads:
        granted = [each for one in threads.map(take_turns, range(agents)) for each in one]

    assert len(set(granted)) == rounds * agents
    with server.client() as fresh:
        log = events(fresh, project)
    steps = [(event["type"], event["reservation_id"]) for event in log]
    assert len(steps) == 2 * rounds * agents
    for taken, given_back in zip(steps[::2], steps[1::2], strict=True):
        assert taken[0] == "reservation.created"
        assert given_back == ("reservation.released", taken[1])


def test_fence_of_each_grant_is_higher_than_the_one_before(client: httpx.Client, project: str) -> None:
    """The fence only grows, also after a release."""
    fences = []
    for agent in ("a1", "b1", "a1"):
        held = reserve(client, project, agent, "src/core.py")
        fences.append(held["fence"])
        good(client.delete(f"/api/reservations/{held['id']}"))

    assert fences == sorted(set(fences))
