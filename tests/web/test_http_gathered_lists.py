"""Lists that a local caller gets over all projects when it names none (contract.md 0.7, P2 and P6; design.md 6)."""

from collections.abc import Iterator

import httpx
import pytest
from calls import good, register, reserve
from server_process import ServerProcess

PROJECTS = 70


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A local caller of a server with 70 projects of one agent and one reservation each."""
    with ServerProcess(tmp_path_factory.mktemp("many")) as running, running.client() as local:
        for number in range(PROJECTS):
            register(local, f"p{number:02}", f"agent-{number:02}")
            reserve(local, f"p{number:02}", "wanderer", "src/**")
        yield local


def test_gathered_agents_are_complete(many: httpx.Client) -> None:
    """Every agent of every project is listed, however many projects there are, or the answer says that it is a part."""
    found = good(many.get("/api/agents"))

    assert len(found["agents"]) == PROJECTS or "next_cursor" in found


def test_gathered_reservations_of_one_agent_are_complete(many: httpx.Client) -> None:
    """What an agent, asked for by its name, holds anywhere is listed, or the answer says that it is a part."""
    found = good(many.get("/api/reservations", params={"agent": "wanderer"}))

    assert len(found["reservations"]) == PROJECTS or "next_cursor" in found


def test_gathered_list_takes_a_limit(many: httpx.Client) -> None:
    """`limit` bounds the list, and following `next_cursor` gives the rest (design.md 9)."""
    found = good(many.get("/api/agents", params={"limit": 10}))

    assert len(found["agents"]) == 10
    assert "next_cursor" in found


def test_gathered_reservations_come_from_every_project(many: httpx.Client) -> None:
    """The rows of several projects are in one list, each with its project."""
    found = good(many.get("/api/reservations", params={"agent": "wanderer"}))["reservations"]

    assert {"p00", "p01", "p63"} <= {each["project"] for each in found}
    assert {each["agent_id"] for each in found} == {"wanderer"}


def test_key_gathers_nothing(acme: httpx.Client, client: httpx.Client, project: str) -> None:
    """The holder of a key never gets a list over several projects."""
    register(client, project, "stranger")
    register(acme, "acme", "native")

    assert {each["project"] for each in good(acme.get("/api/agents"))["agents"]} == {"acme"}
    assert {each["project"] for each in good(acme.get("/api/reservations"))["reservations"]} <= {"acme"}
