"""Waiting for a turn over real sockets: issue 3 point 5."""

import json
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import trio
from calls import events, good, refusal, register, release, reserve
from server_process import ServerProcess, until
from sockets import next_events, open_socket


def wish(project: str, agent: str, pattern: str = "a", **more: object) -> dict[str, object]:
    """Return a request that waits."""
    return {
        "project": project,
        "agent_id": agent,
        "path_pattern": pattern,
        "on_conflict": "wait",
        "wait_seconds": 12,
        **more,
    }


def in_line(client: httpx.Client, project: str, count: int) -> list[str]:
    """Return who waits, as soon as so many do."""

    def look() -> list[str] | None:
        found = good(client.get("/api/reservations/waiting", params={"project": project}))["waiting"]
        return [each["held_by"] for each in found] or ["nobody"] if len(found) == count else None

    return until(look, f"{count} in the queue")


class Callers:
    """Requests that wait, each in a thread of its own."""

    def __init__(self, server: ServerProcess, client: httpx.Client, project: str) -> None:
        self._server, self._client, self._project = server, client, project
        self._pool = ThreadPoolExecutor(8)
        self._count = 0

    def ask(self, agent: str, pattern: str = "a", **more: object) -> "Future[httpx.Response]":
        """Send a request that waits, and return once it is in the queue."""

        def call() -> httpx.Response:
            with self._server.client() as own:
                return own.post("/api/reservations", json=wish(self._project, agent, pattern, **more))

        future = self._pool.submit(call)
        self._count += 1
        in_line(self._client, self._project, self._count)
        return future


def test_waiters_are_answered_in_their_order(server: ServerProcess, client: httpx.Client, project: str) -> None:
    """Of two who want the same, the first is granted at the release and the second at the first one's release."""
    held = reserve(client, project, "anna", "a")
    callers = Callers(server, client, project)
    first, second = callers.ask("ben"), callers.ask("carl")

    release(client, held["id"])
    granted = good(first.result(10), 201)
    assert in_line(client, project, 1) == ["carl"]
    release(client, granted["id"])

    assert good(second.result(10), 201)["held_by"] == "carl"


def test_readers_are_admitted_together(server: ServerProcess, client: httpx.Client, project: str) -> None:
    """One release lets all readers in."""
    held = reserve(client, project, "anna", "a")
    callers = Callers(server, client, project)
    readers = [callers.ask(name, mode="shared", exclusive=None) for name in ("ben", "carl", "dora")]

    release(client, held["id"])

    assert [good(each.result(10), 201)["mode"] for each in readers] == ["shared"] * 3


def test_waiter_goes_on_when_the_holder_converts_down(
    server: ServerProcess, client: httpx.Client, project: str
) -> None:
    """A writer that only reads from now on lets readers in."""
    held = reserve(client, project, "anna", "a")
    reader = Callers(server, client, project).ask("ben", mode="shared", exclusive=None)

    good(client.patch(f"/api/reservations/{held['id']}", json={"mode": "shared"}))

    assert good(reader.result(10), 201)["held_by"] == "ben"


def test_waiter_goes_on_when_it_is_given_what_it_waits_for(
    server: ServerProcess, client: httpx.Client, project: str
) -> None:
    """A transfer to the one who waits takes what was in its way out of it."""
    register(client, project, "ben")
    held = reserve(client, project, "anna", "a")
    waiting = Callers(server, client, project).ask("ben")

    good(client.post(f"/api/reservations/{held['id']}/transfer", json={"to": "ben"}))

    assert good(waiting.result(10), 201)["held_by"] == "ben"


def test_waiter_goes_on_when_the_lease_ends(server: ServerProcess, client: httpx.Client, project: str) -> None:
    """Nobody has to do anything: at the deadline the next one is granted."""
    reserve(client, project, "anna", "a", ttl_seconds=1)

    granted = good(client.post("/api/reservations", json=wish(project, "ben")), 201)

    assert granted["held_by"] == "ben"


def test_wait_that_is_over_is_a_conflict(client: httpx.Client, project: str) -> None:
    """After `wait_seconds` the answer is the conflict."""
    reserve(client, project, "anna", "a")

    refusal(client.post("/api/reservations", json=wish(project, "ben", wait_seconds=0.2)), 409, "reservation_conflict")


def test_client_that_hangs_up_leaves_the_queue(server: ServerProcess, client: httpx.Client, project: str) -> None:
    """The server notices the closed socket by itself, and the next in line is granted."""
    held = reserve(client, project, "anna", "a")
    body = json.dumps(wish(project, "ben", wait_seconds=600)).encode()
    head = (
        f"POST /api/reservations HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    bare = server.connect()
    bare.sendall(head.encode() + body)
    assert in_line(client, project, 1) == ["ben"]

    bare.close()
    in_line(client, project, 0)
    waiting = Callers(server, client, project).ask("carl")
    release(client, held["id"])

    assert good(waiting.result(10), 201)["held_by"] == "carl"
    assert "ben" not in [each["data"]["held_by"] for each in events(client, project) if "data" in each]


def test_circle_is_refused_by_name(server: ServerProcess, client: httpx.Client, project: str) -> None:
    """S15: whoever would close a circle hears who is in it; the others wait on."""
    reserve(client, project, "anna", "a")
    held = reserve(client, project, "ben", "b")
    waiting = Callers(server, client, project).ask("anna", "b")

    refused = refusal(client.post("/api/reservations", json=wish(project, "ben", "a")), 409, "deadlock")
    release(client, held["id"])

    assert refused["cycle"] == ["ben", "anna"]
    good(waiting.result(10), 201)


def test_ticket_given_up_ends_the_call(server: ServerProcess, client: httpx.Client, project: str) -> None:
    """DELETE of the ticket ends the call that waits under it, and nobody stands in the queue."""
    reserve(client, project, "anna", "a")
    waiting = Callers(server, client, project).ask("ben")
    listed = good(client.get("/api/reservations/waiting", params={"project": project}))
    assert listed["waits_for"] == {"ben": ["anna"]}

    release(client, listed["waiting"][0]["ticket"])

    refusal(waiting.result(10), 404, "reservation_ended")
    in_line(client, project, 0)


def test_waiting_request_under_a_key_is_one_request(server: ServerProcess, client: httpx.Client, project: str) -> None:
    """Sent again while it waits it waits in its place; sent again afterwards it is answered 200 with what came of it."""
    held = reserve(client, project, "anna", "a")
    waiting = Callers(server, client, project).ask("ben", idempotency_key="k")
    with ThreadPoolExecutor(1) as pool, server.client() as own:
        again = pool.submit(own.post, "/api/reservations", json=wish(project, "ben", idempotency_key="k"))
        release(client, held["id"])
        found = good(waiting.result(10), 201)
        assert again.result(10).json()["id"] == found["id"]

    after = good(client.post("/api/reservations", json=wish(project, "ben", idempotency_key="k")))

    assert (after["id"], after["repeated"]) == (found["id"], True)


async def test_holder_hears_that_it_is_wanted_and_the_waiter_that_it_is_granted(
    server: ServerProcess, client: httpx.Client, project: str
) -> None:
    """Both learn over their sockets."""
    register(client, project, "anna")
    register(client, project, "ben")
    held = reserve(client, project, "anna", "a")
    async with (
        open_socket(server, "/ws/agents/anna", project=project) as holder,
        open_socket(server, "/ws/agents/ben", project=project) as waiter,
    ):
        waiting = await trio.to_thread.run_sync(lambda: Callers(server, client, project).ask("ben"))
        [wanted] = await next_events(holder, 1)
        await trio.to_thread.run_sync(release, client, held["id"])
        heard = [await next_events(waiter, 1) for _ in range(4)]
        await trio.to_thread.run_sync(waiting.result, 10)

    assert (wanted["type"], wanted["wanted_by_name"]) == ("reservation.wanted", "ben")
    assert [event["type"] for [event] in heard] == [
        "reservation.wanted", "reservation.released", "reservation.created", "reservation.granted",
    ]  # fmt: skip


def test_many_who_want_one_symbol_give_one_grant(server: ServerProcess, project: str) -> None:
    """S02: of N posts at once exactly one is granted, and everybody else hears who it was."""
    start = threading.Barrier(12)

    def call(number: int) -> httpx.Response:
        with server.client() as own:
            body = {"project": project, "agent_id": f"agent-{number}", "addresses": ["src/a.py::Invoice.total"]}
            start.wait(10)
            return own.post("/api/reservations", json=body)

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(call, range(12)))

    [winner] = [good(each, 201) for each in answers if each.status_code == 201]
    refused = [refusal(each, 409, "reservation_conflict") for each in answers if each.status_code != 201]
    assert len(refused) == 11
    assert {body["conflicts"][0]["held_by"] for body in refused} == {winner["held_by"]}
