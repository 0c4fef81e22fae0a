"""Upgrades: which ones the fast lane takes, and that every other one is answered as if there were no lane (issue 7)."""

import pytest
import trio.testing
from guarded_server import HEAD, UPGRADE, get, quart_app, running, upgrade
from push_lane import OWN, PushLane, opened

KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="


def changed(old: str, new: str) -> bytes:
    """Return a handshake on the lane's path with one thing changed."""
    assert old.encode() in upgrade(OWN)
    return upgrade(OWN).replace(old.encode(), new.encode())


ODD = {
    "a subprotocol": upgrade(OWN, "Sec-WebSocket-Protocol: chat"),
    "another version": changed("Version: 13", "Version: 8"),
    "two versions": upgrade(OWN, "Sec-WebSocket-Version: 13"),
    "no version": changed("Sec-WebSocket-Version: 13\r\n", ""),
    "no key": changed(f"{KEY}\r\n", ""),
    "a short key": changed(KEY, "Sec-WebSocket-Key: dGhl"),
    "two keys": upgrade(OWN, KEY),
    "a key of other bytes": changed(KEY, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ!=="),
    "another upgrade": changed("Upgrade: websocket", "Upgrade: h2c"),
    "two upgrades": upgrade(OWN, "Upgrade: websocket"),
    "an upgrade without its connection": changed("Connection: Upgrade", "Connection: keep-alive"),
    "a connection without an upgrade": changed("Upgrade: websocket\r\n", ""),
    "one option more": changed("Connection: Upgrade", "Connection: Upgrade, x"),
    "a length": upgrade(OWN, "Content-Length: 0"),
    "a body": upgrade(OWN, "Content-Length: 2") + b"hi",
    "chunks": upgrade(OWN, "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "expecting to go on": upgrade(OWN, "Expect: 100-continue"),
    "HTTP/1.0": changed("HTTP/1.1", "HTTP/1.0"),
    "a POST": changed("GET", "POST"),
    "an escape in the path": changed(OWN, "/ws/l%61ne"),
    "a slash at the end": changed(OWN, OWN + "/"),
    "another path": changed(OWN, "/ws/nothing"),
    "bytes beyond ASCII": upgrade(OWN).replace(b"Connection: Upgrade", b"Connection: Upgrade\r\nX: \xff"),
    "a folded line": upgrade(OWN).replace(b"Connection: Upgrade", b"Connection:\r\n Upgrade"),
    "no host": upgrade(OWN).replace(HEAD, b""),
    "two hosts": upgrade(OWN, "Host: b"),
    "HTTP/2 settings": upgrade(OWN, "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"),
    "a frame that does not wait": upgrade(OWN) + b"\x81\x80\0\0\0\0",
    "a request that does not wait": upgrade(OWN) + get("/health"),
}


@pytest.mark.parametrize("name", ODD)
async def test_odd_handshake_is_left_to_the_careful_lane(name: str) -> None:
    """With all of its bytes, so that its answer is that of a server without the lane."""
    lane = PushLane()
    async with running(quart_app(), lanes=lane) as both, running(quart_app()) as alone:
        first, second = await both.connect(), await alone.connect()
        await first.send(ODD[name])
        await second.send(ODD[name])

        found, expected = await first.answer(), await second.answer()

        assert (found.status, found.body, set(found.fields)) == (expected.status, expected.body, set(expected.fields))
        assert lane.opened == 0
        await opened(both)
        assert (lane.opened, both.events) == (1, []), "the control: this path is the lane's."


@pytest.mark.parametrize("connection", ["Upgrade", "upgrade", "keep-alive, Upgrade", "Upgrade, Keep-Alive"])
async def test_handshake_of_every_client_is_the_lanes(connection: str) -> None:
    """As libraries and browsers send it, after other requests of the same connection, and in two packets."""
    lane = PushLane()
    data = changed("Connection: Upgrade", f"Connection: {connection}").replace(b"websocket", b"WebSocket")
    async with running(quart_app(), lanes=lane) as server:
        client = await server.connect()
        for _ in range(2):
            assert (await client.ask(get("/health"))).status == 200
        await client.send(data[:100])
        await trio.testing.wait_all_tasks_blocked(0.01)

        answer = await client.ask(data[100:])

        assert (answer.status, lane.opened) == (101, 1)
        assert set(answer.fields) == {"sec-websocket-accept", "upgrade", "connection", "date"}


async def test_upgrade_in_one_packet_with_a_request_before_it_waits_for_its_turn() -> None:
    """The answer to the request comes first, then that to the upgrade."""
    lane = PushLane()
    async with running(quart_app(), lanes=lane) as server:
        client = await server.connect()

        first = await client.ask(get("/health") + upgrade(OWN))

        assert (first.status, (await client.answer()).status, lane.opened) == (200, 101, 1)


def test_handshake_of_the_tests_is_good() -> None:
    """The control of what is changed above: each of these lines is there."""
    assert KEY.encode() in UPGRADE
    assert all(packet.startswith((b"GET", b"POST")) for packet in ODD.values())
