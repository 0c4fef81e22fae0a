"""Routes: versions, unknown paths, wrong methods, path cleaning, and what the service says of itself."""

import httpx
import pytest
from calls import Json, good, head, refusal, register
from server_process import ServerProcess


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/agents", {"GET", "POST"}),
        ("/api/agents/presence", {"GET", "DELETE"}),  # an agent may be called "presence".
        ("/api/agents/a", {"GET", "DELETE"}),
        ("/api/agents/a/heartbeat", {"POST"}),
        ("/api/agents/a/metadata", {"PATCH"}),
        ("/api/messages", {"POST"}),
        ("/api/messages/m", {"GET"}),
        ("/api/messages/m/recipients", {"GET"}),
        ("/api/messages/m/ack", {"POST"}),
        ("/api/messages/m/read", {"POST"}),
        ("/api/inbox/a", {"GET"}),
        ("/api/inbox/a/counts", {"GET"}),
        ("/api/inbox/a/stale-acks", {"GET"}),
        ("/api/threads", {"GET"}),
        ("/api/threads/t", {"GET"}),
        ("/api/reservations", {"GET", "POST", "DELETE"}),
        ("/api/reservations/check", {"GET", "POST", "PATCH", "DELETE"}),  # "check" is read as an id in the last two.
        ("/api/reservations/validate", {"GET", "POST", "PATCH", "DELETE"}),
        ("/api/reservations/r", {"GET", "PATCH", "DELETE"}),
        ("/api/reservations/r/transfer", {"POST"}),
        ("/api/reservations/r/request", {"POST"}),
        ("/api/reservations/r/force-release", {"POST"}),
        ("/api/specs", {"GET", "POST"}),
        ("/api/tasks/t", {"GET", "PUT", "PATCH", "DELETE"}),
        ("/api/insights/i", {"GET", "PUT", "PATCH", "DELETE"}),
        ("/api/audit", {"GET"}),
        ("/api/events", {"GET"}),
        ("/api/projects", {"GET"}),
        ("/api/openapi.json", {"GET"}),
        ("/api/health", {"GET"}),
        ("/health", {"GET"}),
        ("/health/ready", {"GET"}),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "BREW"])
def test_wrong_method_is_405_with_allow(client: httpx.Client, path: str, allowed: set[str], method: str) -> None:
    """A method that the path does not have is 405, and `Allow` lists those it has; HEAD and OPTIONS as well."""
    if method in allowed:
        return

    answer = client.request(method, path, json={} if method in ("POST", "PUT", "PATCH") else None)

    assert answer.status_code == 405
    assert {each.strip() for each in answer.headers["allow"].split(",")} == allowed
    if method != "HEAD":
        assert set(refusal(answer, 405, "method_not_allowed")["allowed"]) == allowed


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/", "/api/nothing", "/api/v2/agents", "/index.html", "/api/agents/a/b/c"]
)
def test_unknown_path_is_404_and_points_to_the_description(client: httpx.Client, path: str) -> None:
    """An unknown path is JSON too, and tells where the routes are listed."""
    assert "/api/openapi.json" in refusal(client.get(path), 404, "unknown_route")["message"]


def test_unknown_path_suggests_the_nearest_route(client: httpx.Client) -> None:
    """A mistyped path is told which route it resembles."""
    assert "/api/reservations" in refusal(client.get("/api/reservation"), 404, "unknown_route")["message"]


def test_both_versions_are_the_same_interface(client: httpx.Client, project: str) -> None:
    """`/api/v1/…` is the same routes as `/api/…`."""
    agent = good(client.post("/api/v1/agents", json={"project": project, "name": "anna"}))

    old = good(client.get("/api/agents", params={"project": project}))
    new = good(client.get("/api/v1/agents", params={"project": project}))

    assert old == new
    assert old["agents"][0]["agent_id"] == agent["agent_id"]
    refusal(client.get(f"/api/v1/messages/{agent['agent_id']}"), 404, "unknown_message")


@pytest.mark.parametrize("path", ["//api//agents", "/api//agents"])
def test_repeated_slashes_lead_to_the_cleaned_path(client: httpx.Client, project: str, path: str) -> None:
    """A path with repeated slashes is sent to the clean one, or answered as if it were clean (contract.md 0.1)."""
    register(client, project, "anna")

    answer = client.get(str(client.base_url) + path, params={"project": project}, follow_redirects=True)

    assert len(good(answer)["agents"]) == 1


@pytest.mark.parametrize("path", ["/api//agents", "/api/threads//", "/api/v1/threads//", "/api/inbox//counts"])
def test_redirection_is_json_too(client: httpx.Client, path: str) -> None:
    """No answer of ours is a web page, not even one that leads elsewhere."""
    answer = client.get(path, follow_redirects=False)

    assert answer.status_code == 308
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error"] == "moved"
    assert answer.headers["location"] in answer.json()["message"]


def test_a_route_with_a_trailing_slash_is_the_route(client: httpx.Client, project: str) -> None:
    """A trailing slash changes nothing."""
    register(client, project, "anna")

    assert len(good(client.get("/api/agents/", params={"project": project}))["agents"]) == 1


@pytest.mark.parametrize("path", ["/health", "/api/health", "/api/v1/health"])
def test_health_is_ok_for_everybody_with_details_for_local_callers(
    client: httpx.Client, remote: httpx.Client, path: str
) -> None:
    """A remote caller without a key sees exactly the original's body; a local one sees the parts."""
    local = good(client.get(path))

    assert good(remote.get(path)) == {"status": "ok"}
    assert remote.get(path).content == b'{"status":"ok"}\n'
    assert local["status"] == "ok"
    assert {"version", "sqlite_version", "uptime_s"} <= set(local["process"])


def test_health_shows_the_projects_that_are_open(client: httpx.Client, acme: httpx.Client, project: str) -> None:
    """Each open project is listed with its state; a key sees its own; `project` narrows the list."""
    register(client, project, "anna")
    register(acme, "acme", "anna")

    everything = good(client.get("/health"))["projects"]
    one = good(client.get("/health", params={"project": project}))["projects"]
    own = good(acme.get("/health"))["projects"]

    assert {project, "acme"} <= {each["project"] for each in everything}
    assert [each["project"] for each in one] == [project]
    assert [each["project"] for each in own] == ["acme"]
    assert one[0]["state"] == "running"
    assert one[0]["breaker"]["state"] == "closed"
    assert {"restarts", "mailbox_depth", "last_error", "storage", "head"} <= set(one[0])


def test_ready_is_ok_while_nothing_is_degraded(remote: httpx.Client) -> None:
    """Readiness is 200 for everybody while all parts are well."""
    assert good(remote.get("/health/ready")) == {"status": "ok"}


def test_openapi_document_lists_every_route(remote: httpx.Client) -> None:
    """The interface describes itself as OpenAPI 3.1, without a key."""
    document: Json = good(remote.get("/api/openapi.json"))

    assert document["openapi"].startswith("3.1")
    assert {"get", "post", "delete"} <= set(document["paths"]["/api/reservations"])
    assert {"/api/agents", "/api/messages", "/api/events", "/health"} <= set(document["paths"])


def test_projects_lists_what_the_caller_may_see(client: httpx.Client, acme: httpx.Client, project: str) -> None:
    """A local caller sees every project, the holder of a key its own."""
    register(client, project, "anna")

    everything = good(client.get("/api/projects"))["projects"]
    own = good(acme.get("/api/projects"))["projects"]

    assert project in {each["project"] for each in everything}
    assert [each["project"] for each in own] == ["acme"]


def test_head_leaves_the_connection_in_step(server: ServerProcess) -> None:
    """HEAD is answered without a body, so that the next answer on the connection is read as such."""
    with server.client() as fresh:
        assert fresh.head("/health").status_code == 405
        assert good(fresh.get("/health"))["status"] == "ok"


def test_answers_carry_no_header_that_opens_the_interface_to_pages(client: httpx.Client) -> None:
    """No CORS header, on good and bad answers alike."""
    for answer in (client.get("/health"), client.get("/nothing"), client.options("/api/agents")):
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


def test_huge_headers_are_refused_and_the_server_lives(
    server: ServerProcess, client: httpx.Client, project: str
) -> None:
    """Headers over the limit are 431 as JSON; the next connection is served."""
    for headers in ({"X-Long": "x" * 20_000}, {f"X-{number}": "x" for number in range(150)}):
        with server.client(headers) as fresh:
            refusal(fresh.get("/health"), 431, "headers_too_large")

    assert head(client, project) == 0


def test_long_but_allowed_header_passes(server: ServerProcess) -> None:
    """Negative control: a header within the limit is no reason to refuse."""
    with server.client({"X-Long": "x" * 8_000}) as fresh:
        good(fresh.get("/health"))
