"""No first packet of a connection ends the server or disturbs another connection (guarantees.md G22, T8, T29)."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import hypercorn.trio
import pytest
import trio
from guarded_server import PATIENCE_S, Client, ToyLane, get, packet_bytes, quart_app, running, toy_app
from h11 import LocalProtocolError
from hypercorn.config import Config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intermute.web.server import LaneFor

CORPUS = Path(__file__).parent.parent / "vectors" / "hostile_packets.json"
PACKETS: dict[str, bytes] = {entry["name"]: packet_bytes(entry) for entry in json.loads(CORPUS.read_text())["packets"]}
OWN_PATHS = {f"{name} (own path)": data.replace(b"/ws ", b"/ws/agents/x ") for name, data in PACKETS.items()}
KILLERS = (
    "ws subprotocol \\xff",
    "ws extensions \\xff",
    "ws connection \\xff",
    "h2c settings short",
    "ws then garbage frames",
    "bytes after a refused websocket upgrade",
)


@pytest.mark.parametrize("lanes", [None, ToyLane()])
@pytest.mark.parametrize("make_app", [toy_app, quart_app])
async def test_hostile_packet_leaves_others_untouched(make_app: Any, lanes: LaneFor | None) -> None:
    """After each packet the same keep-alive connection and the same WebSocket go on as if nothing had been."""
    async with running(make_app(), lanes=lanes) as server:
        bystander, socket = await server.connect(), await server.connect()
        assert (await socket.open_websocket()).status == 101

        for name, packet in (PACKETS | OWN_PATHS).items():
            attacker = await server.connect()
            await attacker.send(packet)
            await attacker.more()

            assert (await bystander.ask(get("/health"))).status == 200, name
            assert await socket.echo(name) == name
            await attacker.stream.aclose()

        assert server.events == [], "no packet reaches the guard itself"


@pytest.mark.parametrize("name", KILLERS)
async def test_stock_hypercorn_dies_of_a_killer_packet(name: str) -> None:
    """Negative control: without our guard these packets end the server with an exception."""
    config = Config()
    config.bind, config.errorlog, config.graceful_timeout = ["127.0.0.1:0"], None, 0.1

    with pytest.raises(BaseExceptionGroup) as death:
        async with trio.open_nursery() as nursery:
            start = partial(hypercorn.trio.serve, quart_app(), config, shutdown_trigger=trio.sleep_forever)
            urls = await nursery.start(start)
            async with await trio.open_tcp_stream("127.0.0.1", int(urls[0].rpartition(":")[2])) as stream:
                attacker = Client(stream)
                await attacker.send(PACKETS[name])
                await attacker.end()
                await trio.sleep(PATIENCE_S)  # ended by the death of the server.
            nursery.cancel_scope.cancel()

    assert death.value.split((UnicodeDecodeError, ValueError, LocalProtocolError))[1] is None


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from(sorted(PACKETS.values())),
            st.sampled_from(
                [b"\r\n", b"GET / HTTP/1.1\r\n", b"Host: x\r\n", b"Transfer-Encoding: chunked\r\n", b"\x00"]
            ),
        ),
        min_size=1,
        max_size=6,
    )
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
def test_mutated_packet_leaves_others_untouched(pieces: list[bytes]) -> None:
    """Neither does any mixture of them, in one packet or in several."""

    async def attack() -> None:
        async with running(toy_app(), lanes=ToyLane()) as server:
            bystander, attacker = await server.connect(), await server.connect()
            try:
                for piece in pieces:
                    await attacker.send(piece)
                await attacker.stream.send_eof()
            except trio.BrokenResourceError:
                pass  # refused at an earlier piece.
            await attacker.end()
            assert (await bystander.ask(get("/health"))).status == 200
            await bystander.stream.aclose()
            await attacker.stream.aclose()
            assert server.events == []

    trio.run(attack)
