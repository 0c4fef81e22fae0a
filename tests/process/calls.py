"""Calls that many tests make, and what every answer has to look like."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx

Json = dict[str, Any]  # Any: whatever JSON holds.
JSON_HEADER: Final = {"Content-Type": "application/json"}


def refusal(response: httpx.Response, status: int, code: str | None = None) -> Json:
    """Return the body of a refusal, after checking that it is one: its status, JSON, a code and a sentence."""
    assert response.status_code == status, f"{response.status_code} {response.text[:500]}"
    assert response.headers["content-type"] == "application/json"
    body: Json = response.json()
    assert isinstance(body["error"], str)
    assert body["error"]
    assert isinstance(body["message"], str)
    assert len(body["message"]) > 10, "a sentence that says what to do"
    assert code in (None, body.get("code", body["error"])), body
    return body


def good(response: httpx.Response, status: int = 200) -> Any:  # Any: whatever JSON the answer holds.
    """Return the JSON of an answer, after checking its status and its form."""
    assert response.status_code == status, f"{response.status_code} {response.text[:500]}"
    assert response.headers["content-type"] == "application/json"
    assert response.content.endswith(b"\n")
    return response.json()


def register(client: httpx.Client, project: str, name: str, **more: object) -> Json:
    """Register an agent and return what the server says about it."""
    found: Json = good(client.post("/api/agents", json={"project": project, "name": name, **more}))
    return found


def send(client: httpx.Client, project: str, sender: str, to: list[str], **more: object) -> Json:
    """Send a message and return the answer."""
    found: Json = good(client.post("/api/messages", json={"project": project, "from": sender, "to": to, **more}))
    return found


def reserve(client: httpx.Client, project: str, agent: str, pattern: str, **more: object) -> Json:
    """Reserve a pattern, exclusively unless told otherwise, and return the reservation."""
    body = {"project": project, "agent_id": agent, "path_pattern": pattern, "exclusive": True, **more}
    found: Json = good(client.post("/api/reservations", json=body), 201)
    return found


def release(client: httpx.Client, reservation_id: str, **headers: str) -> None:
    """Give a reservation back; the caller says who it is, if at all, in headers."""
    good(client.delete(f"/api/reservations/{reservation_id}", headers=headers))


def mark(client: httpx.Client, project: str, message_id: str, how: str, agent: str) -> None:
    """Mark a message as read or acknowledged (`how` is read or ack) by one recipient."""
    good(client.post(f"/api/messages/{message_id}/{how}", params={"project": project}, json={"agent": agent}))


def events(client: httpx.Client, project: str, since: int = 0, **query: str) -> list[Json]:
    """Return the project's events after a cursor; at most a page of them."""
    asked = {"project": project, "since_cursor": str(since), "limit": "1000", **query}
    found: list[Json] = good(client.get("/api/events", params=asked))["events"]
    return found


def head(client: httpx.Client, project: str) -> int:
    """Return the cursor of the project's last event: the sentinel that shows whether something was stored."""
    found = events(client, project)
    return int(found[-1]["cursor"]) if found else 0


def inbox(client: httpx.Client, project: str, agent: str, **query: str) -> list[Json]:
    """Return an agent's messages."""
    found: list[Json] = good(client.get(f"/api/inbox/{agent}", params={"project": project, **query}))["messages"]
    return found


@contextmanager
def nothing_stored(client: httpx.Client, project: str) -> Iterator[None]:
    """Fail if the project's log grew inside the block, or if a list of projects did."""
    before, projects = head(client, project), good(client.get("/api/projects"))["projects"]
    yield
    assert head(client, project) == before
    assert [each["project"] for each in good(client.get("/api/projects"))["projects"]] == [
        each["project"] for each in projects
    ]
