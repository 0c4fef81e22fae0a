"""The gate: no web page reaches the service, whatever its name resolves to (guarantees.md T1 to T3 and T5)."""

import json
from typing import Final

import httpx
import pytest
from calls import good, head, refusal, register
from server_process import ServerProcess
from sockets import HANDSHAKE

JSON_TYPE: Final = "application/json"


def answer_to(server: ServerProcess, head_lines: list[str], body: bytes = b"") -> tuple[int, dict[str, object]]:
    """Send a request as these lines, and return status and JSON of the answer."""
    with server.connect() as bare:
        bare.sendall("\r\n".join([*head_lines, "Connection: close", "", ""]).encode("latin-1") + body)
        answer = b"".join(iter(lambda: bare.recv(65536), b""))
    top, _, rest = answer.partition(b"\r\n\r\n")
    return int(top.split(b" ")[1]), json.loads(rest)


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}", "[::1]:{port}"])
def test_host_that_names_this_server_passes(server: ServerProcess, host: str) -> None:
    """Negative control: our own names with our own port are answered."""
    status, body = answer_to(server, ["GET /health HTTP/1.1", f"Host: {host.format(port=server.port)}"])

    assert (status, body["status"]) == (200, "ok")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}", "localhost.:{port}", "localhost.evil:{port}",
        "0.0.0.0:{port}", "[::ffff:127.0.0.1]:{port}", "127.0.0.1", "localhost:1", "127.1:{port}", "2130706433:{port}",
        "127.0.0.1:{port}@evil", "user@127.0.0.1:{port}", "127.0.0.2:{port}", "127.0.0.1:0{port}", "127.0.0.1:", "",
        "127.0.0.1 :{port}", "localhost:{port},evil.example", "\xff:{port}", "127.0.0.1:{port}/x", "[::1:{port}",
        "127.0.0.1:{port}:{port}", "localhost:{port} evil.example", "localhost\xa0:{port}", "l\xf6calhost:{port}", "[::1]",
        "0177.0.0.1:{port}", "0x7f.0.0.1:{port}", "127.0.0.01:{port}", "[0:0:0:0:0:0:0:1]:{port}", "[::]:{port}", "*:{port}",
        "localhost:{port}?", "localhost:{port}#", "//localhost:{port}", "http://localhost:{port}", "localhost:99999",
        "a" * 64 + ":{port}", "a..b:{port}", "localhost" * 200, "\xe9" * 64,
    ],
)  # fmt: skip
def test_host_that_names_another_server_is_refused(server: ServerProcess, host: str) -> None:
    """A name that somebody pointed at this machine is 421 (or 400), on every route, before it is looked at."""
    for path in ("/health", "/api/agents", "/nothing"):
        status, body = answer_to(server, [f"GET {path} HTTP/1.1", f"Host: {host.format(port=server.port)}"])

        assert status in (400, 421), (status, body)
        assert body["error"]
        assert body["message"]


@pytest.mark.parametrize(
    ("host", "status"),
    [("evil.example", 421), ("127.0.0.1.evil.example", 421), ("\xff", 421), ("a" * 64, 421), ("a..b", 421)],
)
def test_host_is_judged_before_a_socket_is_opened(server: ServerProcess, host: str, status: int) -> None:
    """A page that rebinds its name gets no WebSocket either: an HTTP answer, and no 101."""
    lines = ["GET /ws/events HTTP/1.1", f"Host: {host}:{server.port}", *HANDSHAKE]

    with server.connect() as bare:
        bare.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        answer = b"".join(iter(lambda: bare.recv(65536), b""))

    assert int(answer.split(b" ")[1]) == status
    assert b"misdirected_host" in answer


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        pytest.param(["GET /health HTTP/1.1"], 400, id="missing"),
        pytest.param(["GET /health HTTP/1.1", "Host: localhost:{port}", "Host: localhost:{port}"], 400, id="twice"),
        pytest.param(["GET http://localhost:{port}/health HTTP/1.1", "Host: localhost:{port}"], 400, id="absolute"),
    ],
)
def test_ambiguous_host_is_refused(server: ServerProcess, lines: list[str], status: int) -> None:
    """A request that could mean two servers means none."""
    found, body = answer_to(server, [line.format(port=server.port) for line in lines])

    assert (found, bool(body["error"])) == (status, True)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        pytest.param({"Origin": "http://evil.example"}, "browser_refused", id="origin"),
        pytest.param({"Origin": "null"}, "browser_refused", id="origin-null"),
        pytest.param({"Origin": "file://"}, "browser_refused", id="origin-file"),
        pytest.param({"Origin": "https://127.0.0.1:{port}"}, "browser_refused", id="origin-scheme"),
        pytest.param({"Origin": "http://127.0.0.1:1"}, "browser_refused", id="origin-port"),
        pytest.param({"Origin": "http://localhost:{port}"}, "browser_refused", id="origin-other-name"),
        pytest.param({"Origin": ""}, "browser_refused", id="origin-empty"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, "browser_refused", id="fetch-cross-site"),
        pytest.param({"Sec-Fetch-Site": "same-site"}, "browser_refused", id="fetch-same-site"),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/health"), ("GET", "/api/agents"), ("POST", "/api/agents")])
def test_browser_from_elsewhere_is_refused(
    server: ServerProcess,
    client: httpx.Client,
    project: str,
    method: str,
    path: str,
    headers: dict[str, str],
    code: str,
) -> None:
    """Another origin is 403 for reading as for writing, and stores nothing."""
    filled = {name: value.format(port=server.port) for name, value in headers.items()}
    body = {"project": project, "name": "page"} if method == "POST" else None

    refusal(client.request(method, path, json=body, headers=filled), 403, code)

    assert head(client, project) == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://127.0.0.1:{port}"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"},
    ],
)
def test_own_origin_passes(server: ServerProcess, client: httpx.Client, project: str, headers: dict[str, str]) -> None:
    """Negative control: a page of our own, and a request typed by hand, are answered."""
    filled = {name: value.format(port=server.port) for name, value in headers.items()}

    good(client.post("/api/agents", json={"project": project, "name": "page"}, headers=filled))


@pytest.mark.parametrize(
    "given",
    [
        None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json",
        "application/json+x", "application/jsonp", "application", "text/plain; application/json", ";application/json",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/agents"), ("POST", "/api/messages"), ("POST", "/api/reservations"),
        ("PATCH", "/api/agents/{agent}/metadata"), ("POST", "/api/agents/{agent}/heartbeat"),
    ],
)  # fmt: skip
def test_body_of_a_type_that_pages_can_send_is_refused(
    client: httpx.Client, project: str, method: str, path: str, given: str | None
) -> None:
    """A body needs `application/json`; a form or plain text, which a page may send unasked, is 415 and stores nothing."""
    agent = register(client, project, "anna")["agent_id"]
    before = head(client, project)
    headers = {} if given is None else {"Content-Type": given}

    answer = client.request(method, path.format(agent=agent), content=b'{"name":"page"}', headers=headers)

    refusal(answer, 415, "unsupported_media_type")
    assert head(client, project) == before


@pytest.mark.parametrize(
    "given", [JSON_TYPE, "Application/JSON", "application/json; charset=utf-8", "application/json ;q=1"]
)
def test_json_type_passes_in_any_spelling(client: httpx.Client, project: str, given: str) -> None:
    """Negative control: the JSON type is recognised whatever its case and parameters."""
    body = json.dumps({"project": project, "name": "anna"}).encode()

    good(client.post("/api/agents", content=body, headers={"Content-Type": given}))


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, identity"])
def test_compressed_body_is_refused(client: httpx.Client, project: str, encoding: str) -> None:
    """A compressed body is 415, so that none can be a bomb."""
    headers = {"Content-Type": JSON_TYPE, "Content-Encoding": encoding}

    refusal(client.post("/api/agents", content=b"x", headers=headers), 415, "unsupported_media_type")

    assert head(client, project) == 0


def test_body_of_a_get_is_no_way_around_the_gate(client: httpx.Client, project: str) -> None:
    """GET takes no body: nothing of it counts, and nothing is stored."""
    body = json.dumps({"project": project, "name": "page"}).encode()

    answer = client.request("GET", "/api/agents", params={"project": project}, content=body)

    assert answer.status_code in (200, 400, 415)
    assert head(client, project) == 0


def test_unix_socket_is_local_and_takes_any_host(server: ServerProcess, project: str) -> None:
    """Whoever may open the Unix socket needs no key (the original's [BUG-21]); pages cannot open it."""
    transport = httpx.HTTPTransport(uds=str(server.home / "socket"))
    with httpx.Client(transport=transport, base_url="http://intermute", trust_env=False) as local:
        register(local, project, "anna")

        assert len(good(local.get("/api/agents", params={"project": project}))["agents"]) == 1
        assert "process" in good(local.get("/health"))
        refusal(local.get("/health", headers={"Origin": "http://evil.example"}), 403, "browser_refused")
        refusal(local.get("/api/agents", headers={"X-Forwarded-For": "127.0.0.1"}), 401, "unauthorized")


def test_unix_socket_is_its_owners_alone(server: ServerProcess) -> None:
    """The socket's file has mode 0600."""
    assert (server.home / "socket").stat().st_mode & 0o777 == 0o600
