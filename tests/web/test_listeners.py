"""Listening sockets: the address they bind, who may connect to them, what they leave behind (guarantees.md T4, T6)."""

import errno
import json
import os
import socket
import stat
from pathlib import Path

import pytest
import trio
from guarded_server import get, running, toy_app

from intermute.web.server import ListenError, open_tcp_listener, open_unix_listener


async def test_tcp_listener_reports_its_port() -> None:
    """Port 0 takes a free port, and the URL names it."""
    listener = open_tcp_listener("localhost", 0)

    with socket.create_connection(("127.0.0.1", int(listener.url.removeprefix("http://127.0.0.1:")))):
        listener.close()

    assert not listener.is_unix


async def test_tcp_listener_bounds_dead_peers_and_buffers() -> None:
    """Accepted sockets inherit the user timeout and no delay."""
    listener = open_tcp_listener("127.0.0.1", 0)
    sock = listener.socket_listener.socket

    options = [sock.getsockopt(socket.IPPROTO_TCP, name) for name in (socket.TCP_USER_TIMEOUT, socket.TCP_NODELAY)]
    listener.close()

    assert options == [20_000, 1]


@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.1", "no.such.host.invalid"])
async def test_tcp_listener_says_why_it_cannot_listen(host: str) -> None:
    """A taken, foreign or unknown address is one clear error, with the address in it."""
    taken = open_tcp_listener("127.0.0.1", 0)
    port = int(taken.url.rpartition(":")[2])

    with pytest.raises(ListenError, match=f"cannot listen on {host}:{port}: .*; .*choose another"):
        open_tcp_listener(host, port)

    taken.close()


async def test_unix_listener_is_ours_alone(tmp_path: Path) -> None:
    """The directory is made with 0700 and the socket with 0600, whatever the umask says."""
    path = tmp_path / "run" / "intermute.sock"
    umask = os.umask(0)
    try:
        listener = open_unix_listener(path)
    finally:
        os.umask(umask)

    modes = [stat.S_IMODE(entry.stat().st_mode) for entry in (path.parent, path)]
    listener.close()

    assert modes == [0o700, 0o600]
    assert listener.url == f"unix:{path}"


async def test_unix_socket_has_its_mode_from_the_first_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Linux there is no moment between bind and chmod in which the socket is open to others."""
    monkeypatch.setattr(Path, "chmod", lambda *_: None)  # patching the system, not our code.
    umask = os.umask(0)
    try:
        listener = open_unix_listener(tmp_path / "s")
    finally:
        os.umask(umask)

    mode = stat.S_IMODE((tmp_path / "s").stat().st_mode)
    listener.close()

    assert mode == 0o600


async def test_unix_listener_replaces_a_stale_socket(tmp_path: Path) -> None:
    """A socket file that a dead process left is replaced, and removed at the end."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    listener = open_unix_listener(path)

    assert path.is_socket()
    listener.close()
    listener.close()
    assert not path.exists()


async def test_unix_listener_leaves_a_served_socket_alone(tmp_path: Path) -> None:
    """A socket that somebody serves, and a file that is no socket, are refused and kept."""
    path, file = tmp_path / "s", tmp_path / "file"
    file.write_text("precious")
    first = open_unix_listener(path)

    with pytest.raises(ListenError, match="stop the other server") as taken:
        open_unix_listener(path)
    with pytest.raises(ListenError, match="not a socket"):
        open_unix_listener(file)

    assert taken.value.errno == errno.EADDRINUSE
    assert path.is_socket()
    assert file.read_text() == "precious"
    first.close()


async def test_unix_listener_does_not_remove_the_socket_of_a_successor(tmp_path: Path) -> None:
    """A file that is no longer ours is kept at close."""
    path = tmp_path / "s"
    first = open_unix_listener(path)
    path.unlink()
    (tmp_path / "filler").touch()
    second = open_unix_listener(path)

    first.close()

    assert path.is_socket()
    second.close()


async def test_application_learns_who_its_peer_is(tmp_path: Path) -> None:
    """The scope tells Unix from TCP, with the kernel's word for the user, and the client's address from the socket."""
    async with running(toy_app(), listener=open_unix_listener(tmp_path / "s")) as server:
        unix, unix_client = json.loads((await (await server.connect()).ask(get("/peer"))).body)
    async with running(toy_app()) as server:
        tcp, tcp_client = json.loads((await (await server.connect()).ask(get("/peer"))).body)

    assert (unix, unix_client) == ({"transport": "unix", "uid": os.getuid(), "pid": os.getpid()}, None)
    assert (tcp, tcp_client[0]) == ({"transport": "tcp", "uid": None, "pid": None}, "127.0.0.1")


async def test_unix_peer_of_another_user_is_refused(tmp_path: Path) -> None:
    """A peer whose user is not allowed is dropped before a byte is read, and that is logged."""
    listener = open_unix_listener(tmp_path / "s", allowed_uids=frozenset({os.getuid() + 1}))
    async with running(toy_app(), listener=listener) as server:
        client = await server.connect()

        assert await client.end() == b""
        await trio.testing.wait_all_tasks_blocked()
        assert server.events == ["server.peer_refused"]
