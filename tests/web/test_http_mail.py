"""Waiting for mail over real connections, and the count of unread messages that comes with every answer (issue 6 point 4)."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from calls import Json, good, mark, refusal, register, reserve, send
from known_keys import ACME_KEY, with_key
from server_process import PATIENCE_S, ServerProcess, until

UNREAD = "x-unread"


def subscribers(client: httpx.Client, project: str) -> int:
    """Return how many readers a project has."""
    [found] = good(client.get("/api/health", params={"project": project}))["projects"]
    return int(found["subscribers"])


def waiting(client: httpx.Client, project: str, agent: str, seconds: float = 20, **query: object) -> httpx.Response:
    """Wait for mail."""
    params = {"project": project, "wait_seconds": str(seconds), **{name: str(value) for name, value in query.items()}}
    return client.get(f"/api/inbox/{agent}", params=params)


def test_wait_is_answered_by_the_message(server: ServerProcess, client: httpx.Client, project: str) -> None:
    """Long before its time, with the message in it; and others are served meanwhile."""
    register(client, project, "ben")
    with ThreadPoolExecutor(1) as pool, server.client() as own:
        call = pool.submit(waiting, own, project, "ben")
        until(lambda: subscribers(client, project) == 1, "a reader")
        sent = send(client, project, "anna", ["ben"])
        page = good(call.result(PATIENCE_S))

    assert [each["id"] for each in page["messages"]] == [sent["message_id"]]
    assert subscribers(client, project) == 0


def test_wait_without_mail_is_an_empty_page(client: httpx.Client, project: str) -> None:
    """After the time, with the cursor that was given."""
    register(client, project, "ben")
    began_s = time.monotonic()

    page = good(waiting(client, project, "ben", 0.2, since_cursor=4))

    assert page == {"messages": [], "cursor": 4}
    assert time.monotonic() - began_s >= 0.2


@pytest.mark.parametrize("seconds", ["-1", "55.1", "1e9", "nan", "x"])
def test_wait_has_a_bound(client: httpx.Client, project: str, seconds: str) -> None:
    """From 0 to 55 seconds; anything else is named."""
    answer = client.get("/api/inbox/ben", params={"project": project, "wait_seconds": seconds})

    assert [each["field"] for each in refusal(answer, 400, "invalid_request")["fields"]] == ["wait_seconds"]


def test_client_that_hangs_up_leaves(server: ServerProcess, client: httpx.Client, project: str) -> None:
    """Its place is free at once, and the mail that comes is not lost on it."""
    register(client, project, "ben")
    bare = server.connect()
    path = f"/api/inbox/ben?project={project}&wait_seconds=50"
    bare.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
    until(lambda: subscribers(client, project) == 1, "a reader")

    bare.close()

    until(lambda: subscribers(client, project) == 0, "its place")
    send(client, project, "anna", ["ben"])
    assert len(good(client.get("/api/inbox/ben", params={"project": project}))["messages"]) == 1


def test_stop_answers_those_who_wait(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A server that is stopped sends them home with an empty page, in good order."""
    with (
        ServerProcess(tmp_path_factory.mktemp("stopping")) as server,
        server.client() as client,
        server.client() as own,
        ThreadPoolExecutor(1) as pool,
    ):
        register(client, "acme", "ben")
        call = pool.submit(waiting, own, "acme", "ben", 50)
        until(lambda: subscribers(client, "acme") == 1, "a reader")

        assert server.stop() == 0
        assert good(call.result(PATIENCE_S)) == {"messages": [], "cursor": 0}


def as_agent(agent: Json, how: str) -> dict[str, str]:
    """Return the headers by which an agent says who it is."""
    proof = {"X-Agent-Token": agent["token"]} if how == "token" else {}
    return {"X-Agent-ID": agent["name"] if how == "name" else agent["agent_id"], **proof}


@pytest.mark.parametrize("how", ["token", "id", "name"])
def test_unread_comes_with_every_answer(client: httpx.Client, project: str, how: str) -> None:
    """With queries, commands, refusals and heartbeats; it falls with reading, and with nothing else."""
    ben = register(client, project, "ben")
    asked, headers = {"project": project}, as_agent(ben, how)
    sent = [send(client, project, "anna", ["ben"]) for _ in range(2)]
    reserve(client, project, "anna", "taken")
    wish = {"project": project, "agent_id": "ben", "path_pattern": "taken"}

    def told(call: Callable[[], httpx.Response]) -> str | None:
        found = call().headers
        return str(found[UNREAD]) if UNREAD in found else None

    def counts() -> httpx.Response:
        return client.get("/api/inbox/ben/counts", params=asked, headers=headers)

    assert told(lambda: client.get("/api/inbox/ben", params=asked, headers=headers)) == "2"
    assert told(lambda: client.post("/api/agents/ben/heartbeat", params=asked, headers=headers)) == "2"
    assert told(lambda: client.post("/api/reservations", json=wish, headers=headers)) == "2"
    assert told(lambda: client.get("/api/messages/nothing", params=asked, headers=headers)) == "2"
    assert told(lambda: client.get("/api/events", params=asked, headers=headers)) == "2"
    mark(client, project, sent[0]["message_id"], "ack", "ben")
    assert told(counts) == "2"
    mark(client, project, sent[0]["message_id"], "read", "ben")
    assert told(counts) == "1"
    assert good(counts()) == {"total": 2, "unread": 1, "unacknowledged": 0}


def test_unread_counts_what_a_call_has_done(client: httpx.Client, project: str) -> None:
    """The answer to a message to oneself, or to reading one, tells how it is afterwards."""
    ben = register(client, project, "ben")
    headers = as_agent(ben, "token")
    body = {"project": project, "from": "ben", "to": ["ben"], "body": "note"}

    sent = client.post("/api/messages", json=body, headers=headers)
    read = client.post(f"/api/messages/{sent.json()['message_id']}/read", headers=headers, params={"project": project})

    assert (sent.headers[UNREAD], read.headers[UNREAD]) == ("1", "0")


def test_unread_is_told_to_nobody_else(server: ServerProcess, client: httpx.Client, project: str) -> None:
    """A caller that is no agent, whose token is another's, or who only says from afar that it is one, is not told."""
    with server.client(with_key(ACME_KEY)) as acme:
        name = f"ben-{project}"
        ben, carl = register(acme, "acme", name), register(acme, "acme", f"carl-{project}")
        path = f"/api/inbox/{name}/counts"
        others = [{}, {"X-Agent-ID": name}, {"X-Agent-ID": "nobody"}]
        others.append({"X-Agent-ID": name, "X-Agent-Token": carl["token"]})

        assert [UNREAD in acme.get(path, headers=headers).headers for headers in others] == [False] * 4
        assert acme.get(path, headers=as_agent(ben, "token")).headers[UNREAD] == "0"
    assert UNREAD not in client.get("/api/projects", headers={"X-Agent-ID": name}).headers


def test_unread_is_right_after_kill(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What was acknowledged is counted when the file is opened anew."""
    home = tmp_path_factory.mktemp("killed")
    with ServerProcess(home) as server, server.client() as client:
        ben = register(client, "acme", "ben")
        sent = [send(client, "acme", "anna", ["ben"]) for _ in range(3)]
        mark(client, "acme", sent[1]["message_id"], "read", "ben")
        server.kill()

    with ServerProcess(home) as server, server.client(as_agent(ben, "token")) as client:
        answer = client.post("/api/agents/ben/heartbeat", params={"project": "acme"})

    assert answer.headers[UNREAD] == "2"
