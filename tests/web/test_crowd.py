"""One address of another machine cannot take every connection (guarantees.md T10)."""

import socket
from dataclasses import replace

import pytest
import trio
import trio.testing
from guarded_server import get, running, toy_app

from intermute.web.server import ServerLimits, open_tcp_listener
from intermute.web.server.crowd import Crowd, origin_of

LIMIT = 3


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        (None, None), ("127.0.0.1", None), ("127.9.9.9", None), ("::1", None), ("::ffff:127.0.0.1", None),
        ("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("fe80::1%eth0", "fe80::/64"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"), ("2001:db8:1:2::5", "2001:db8:1:2::/64"),
    ],
)  # fmt: skip
def test_connections_are_counted_by_their_origin(host: str | None, origin: str | None) -> None:
    """This machine's own are not counted; an IPv6 host counts with its whole network."""
    assert origin_of(host) == origin


def test_crowd_limit_is_exact_and_places_come_back() -> None:
    """Up to the limit an address gets in, then not; others do; who leaves makes room, and nothing is kept of who has gone."""
    crowd = Crowd(LIMIT)

    assert [crowd.enter("a") for _ in range(LIMIT + 1)] == [True] * LIMIT + [False]
    assert crowd.enter("b")
    assert all(crowd.enter(None) for _ in range(LIMIT + 1))
    crowd.leave("a")
    assert [crowd.enter("a"), crowd.enter("a")] == [True, False]

    for each in ["a"] * LIMIT + ["b"]:
        crowd.leave(each)
    assert len(crowd) == 0


def own_address() -> str | None:
    """Return an address of this machine that is not loopback; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])


@pytest.mark.skipif(own_address() is None, reason="this machine has no address but loopback")
async def test_connections_of_one_address_are_told_503() -> None:
    """At the limit an address is told 503 at once and closed, while places are left in all; a place that is left is given."""
    limits = replace(ServerLimits(), connections_per_address_max=LIMIT, linger_timeout_s=0.2)
    listener = open_tcp_listener(own_address() or "", 0, limits=limits)
    async with running(toy_app(), limits, listener) as server:
        clients = [await server.connect() for _ in range(LIMIT + 1)]
        for each in clients[:LIMIT]:
            assert (await each.ask(get("/health"))).status == 200

        answer = await clients[LIMIT].answer()

        assert (answer.status, answer.error) == (503, "too_many_connections")
        assert int(answer.fields["retry-after"]) >= 1
        assert "server.crowded" in server.events
        await clients[0].stream.aclose()
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert (await (await server.connect()).ask(get("/health"))).status == 200


async def test_connections_of_this_machine_are_bounded_in_all_only() -> None:
    """Control: over loopback, where all local agents share one address, more than the limit are served."""
    async with running(toy_app(), replace(ServerLimits(), connections_per_address_max=LIMIT)) as server:
        for each in [await server.connect() for _ in range(LIMIT + 1)]:
            assert (await each.ask(get("/health"))).status == 200
