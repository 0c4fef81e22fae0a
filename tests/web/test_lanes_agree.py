"""The fast lane and the Quart lane give the same answers: status, headers and body (issue 7).

Every call is made in two services that differ in nothing but the lane, on a clock that stands still.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from calls import good, refusal
from foreign_calls import Case, cases
from known_keys import ACME_KEY, with_key
from mutations import MUTATIONS
from server_process import ServerProcess
from tenants import ACME, UMBRA, Reply, furnish, town
from trio.testing import MockClock

from intermute.core.operations import OPERATIONS
from intermute.web.fast_lane import Routes
from intermute.web.lane import VERSIONS

CAREFUL = {"Connection": "keep-alive, careful"}
"""A header by which a request is not plain, and means the same."""
_ODD_BODIES: Sequence[Any] = (
    [],
    "x",
    None,
    {"nope": 1},
    {"project": 5},
    {"PROJECT": "acme", "project": "acme"},
    {"limit": "x"},
)
_ODD_HEADERS: Sequence[Mapping[str, str]] = (
    {"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Content-Type": "text/plain"},
    {"Content-Encoding": "gzip"}, {"X-Forwarded-For": "127.0.0.1"}, {"X-Agent-ID": "una-1001", "X-Agent-Token": "wrong"},
    {"Authorization": "Bearer wrong"}, {"Authorization": "Basic x"}, {"Idempotency-Key": "x" * 300},
    {"If-Reservation-Token": "x:"},
    {"Accept": "text/plain"}, {"X-Agent-ID": "ghost"},
)  # fmt: skip


@dataclass
class Lived:
    """All answers of one service, and the operations of which none came by the fast lane."""

    answers: dict[str, Reply]
    never_fast: set[str]


def _odd_cases(good_cases: Sequence[Case]) -> Iterator[Case]:
    """Yield refusals of every operation, for its body, its headers, its query; what they name exists."""
    for case in good_cases:
        for number, body in enumerate(_ODD_BODIES if case.operation.takes_body else ()):
            yield Case(case.operation, f"odd body {number}", case.method, case.path, case.query, body)
        for number, headers in enumerate(_ODD_HEADERS):
            yield Case(case.operation, f"odd headers {number}", case.method, case.path, case.query, case.body, headers)
        for query in (("nope", "1"), ("limit", "-1"), ("since_cursor", "x"), ("project", "umbra"), ("a b", "ü%20+")):
            yield Case(case.operation, f"odd query {query}", case.method, case.path, (*case.query, query), case.body)
        yield Case(case.operation, "odd version", case.method, case.path.replace(*VERSIONS), case.query, case.body)


async def _live(root: Path, *, is_fast: bool) -> Lived:
    lived = Lived({}, {each.name for each in OPERATIONS})
    async with town(root) as place:
        own, foreign = await furnish(place, ACME, 1001), await furnish(place, UMBRA, 2002)
        place.rng.seed(3003)
        plain = list(cases(own, foreign))
        first_of = {case.operation.name: case for case in reversed(plain)}
        for case in [*_odd_cases(list(first_of.values())), *plain]:
            headers = {**with_key(ACME_KEY), **case.headers}
            asked = (headers, case.method, case.path, case.query, case.body)
            reply = await place.call_fast(*asked) if is_fast else None
            if reply is not None:
                lived.never_fast.discard(case.operation.name)
            lived.answers[case.name] = reply or _as_sent(await place.call(*asked))
    return lived


def _as_sent(reply: Reply) -> Reply:
    """Return a reply of Quart's test client as the server sends it: the client describes a body where there is none."""
    kept = tuple((name, value) for name, value in reply.headers if not name.startswith("content-"))
    return Reply(reply.status, kept, reply.body) if reply.status == 204 and not reply.body else reply


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """All calls, by the fast lane where it takes them."""
    return trio.run(partial(_live, tmp_path_factory.mktemp("fast"), is_fast=True), clock=MockClock())


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """The same calls, all by Quart."""
    return trio.run(partial(_live, tmp_path_factory.mktemp("slow"), is_fast=False), clock=MockClock())


def test_lanes_give_the_same_answers(fast: Lived, slow: Lived) -> None:
    """Of every operation: what is granted and what is refused, to the last byte."""
    assert len(fast.answers) > 2_000
    assert {
        name: (reply, slow.answers[name]) for name, reply in fast.answers.items() if reply != slow.answers[name]
    } == {}


def test_every_operation_has_the_fast_lane(fast: Lived) -> None:
    """None is left to the other lane for good."""
    assert fast.never_fast == set()


def test_comparison_would_see_a_difference(fast: Lived, slow: Lived) -> None:
    """The control: answers of all sorts were compared."""
    statuses = {reply.status for reply in slow.answers.values()}
    assert {200, 201, 204, 400, 401, 403, 404, 409, 415, 421} <= statuses
    assert len({reply.body for reply in fast.answers.values()}) > 300


@pytest.mark.parametrize("operation", MUTATIONS)
def test_request_by_one_lane_is_the_same_request_by_the_other(
    client: httpx.Client, project: str, operation: str
) -> None:
    """Over real sockets: the repeat under a key by the other lane is the same request, and answered with the same bytes."""
    request = MUTATIONS[operation](client, project)

    first = request.send(client, "key")
    again = request.send(client, "key", **CAREFUL)

    assert (again.status_code, again.content, again.headers["idempotency-replayed"]) == (
        first.status_code,
        first.content,
        "true",
    )
    own = {"date", "idempotency-replayed"}
    assert {k: v for k, v in again.headers.items() if k not in own} == {
        k: v for k, v in first.headers.items() if k not in own
    }


def test_path_that_is_odd_is_refused_alike(client: httpx.Client) -> None:
    """Unknown paths, wrong methods and paths that lead elsewhere, with and without the header that asks for care."""
    for method, path in (
        ("GET", "/api/nope"), ("PUT", "/api/agents"), ("GET", "/api//agents"), ("GET", "/api/agents/"), ("POST", "/health"),
        ("GET", "/api/specs/a%2Fb"), ("GET", "/api/v2/agents"), ("DELETE", "/api/tasks/next"), ("GET", "/api/tasks/next"),
    ):  # fmt: skip
        plain, careful = (client.request(method, path, headers=headers) for headers in ({}, CAREFUL))
        assert (plain.status_code, plain.content) == (careful.status_code, careful.content), path


def test_quart_alone_serves_everything(tmp_path: Path) -> None:
    """`--lane quart` switches the fast lane off."""
    with ServerProcess(tmp_path, "--lane", "quart") as server, server.client() as local:
        good(local.post("/api/specs", json={"title": "x"}), 201)
        refusal(local.get("/api/specs/nope"), 404)


def test_routes_know_every_operation_and_nothing_else() -> None:
    """A fixed segment goes before one that stands for anything, under both prefixes."""
    routes = Routes(OPERATIONS)

    assert routes.find("POST", "/api/tasks/next") == (next(o for o in OPERATIONS if o.path == "/api/tasks/next"), {})
    found = routes.find("GET", "/api/v1/specs/s1/tree")
    assert found is not None
    assert (found[0].path, found[1]) == ("/api/specs/{id:path}/tree", {"id": "s1"})
    for method, path in (
        ("GET", "/api"),
        ("GET", "/api/specs/a/b"),
        ("PUT", "/api/specs"),
        ("GET", "/"),
        ("GET", "/api/v3/specs"),
    ):
        assert routes.find(method, path) is None
