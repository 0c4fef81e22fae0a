"""Clients that stop reading: gone within ten seconds, and no hindrance to the end of the server (guarantees.md G12, G20)."""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from calls import events, good, register, send
from server_process import ServerProcess, until
from sockets import handshake

PROJECT = "stalled"
MANY = int(os.environ.get("INTERMUTE_STALLED_SOCKETS", "200"))
"""How many sockets stall at once; the nightly run takes 1,000."""
GONE_WITHIN_S = 10.0
STOP_LIMIT_S = 10.0
_ROUNDS = 50  # of 16 KiB each: more than the kernel holds for a client whose window is small.


@contextlib.contextmanager
def stalled_sockets(server: ServerProcess, count: int) -> Iterator[list[socket.socket]]:
    """Open sockets whose clients never read."""
    with contextlib.ExitStack() as held:
        opened = []
        for _ in range(count):
            status, _, _, bare = handshake(server, f"/ws/events?project={PROJECT}", receive_buffer_bytes=4096)
            opened.append(held.enter_context(contextlib.closing(bare)))
            assert status == 101
        yield opened


def overfill(client: httpx.Client, agent: str) -> None:
    """Let so much happen that what every reader is sent fills all buffers on its way."""
    for number in range(_ROUNDS):
        body = {"metadata": {"a": "x" * 8192, "b": str(number) + "y" * 8000}}
        good(client.patch(f"/api/agents/{agent}/metadata", params={"project": PROJECT}, json=body))


def test_stalled_readers_are_gone_within_ten_seconds(tmp_path: Path) -> None:
    """A socket and a response that nobody reads are cut off, each with a line in the log; an idle socket stays (control)."""
    with ServerProcess(tmp_path) as running, running.client() as local:
        agent = register(local, PROJECT, "anna")["agent_id"]
        overfill(local, agent)
        with stalled_sockets(running, 1), running.connect(receive_buffer_bytes=4096) as page:
            status, _, _, idle = handshake(running, "/ws/events?project=quiet")
            assert status == 101
            overfill(local, agent)
            started_s = time.monotonic()
            path, host = f"/api/events?project={PROJECT}&since_cursor=0&limit=1000", f"127.0.0.1:{running.port}"
            page.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())

            until(lambda: len(running.events("connection.stalled")) >= 2, "both cut off", GONE_WITHIN_S)

            assert time.monotonic() - started_s < GONE_WITHIN_S
            with contextlib.closing(idle), running.client() as other:
                found = good(other.get("/health"))["projects"]
                assert [each["subscribers"] for each in found if each["project"] == PROJECT] == [0]
                send(other, "quiet", "a1", ["b1"])
                assert idle.recv(1), "who has nothing to read is not stalled"


def test_stop_is_bounded_with_many_stalled_sockets(tmp_path: Path) -> None:
    """However many clients do not read, SIGTERM ends the server with code 0 in time, and nothing acknowledged is lost."""
    with ServerProcess(tmp_path) as running, running.client() as local:
        agent = register(local, PROJECT, "anna")["agent_id"]
        with stalled_sockets(running, MANY):
            overfill(local, agent)
            last = events(local, PROJECT)[-1]["cursor"]
            found = good(local.get("/health"))["projects"]
            still = next(each["subscribers"] for each in found if each["project"] == PROJECT)
            started_s = time.monotonic()
            running.signal(signal.SIGTERM)

            code = running.wait(STOP_LIMIT_S + 5)

            took_s = time.monotonic() - started_s
    assert still >= MANY // 2, "the sockets have to be there, and full, when the signal comes"
    assert (code, took_s < STOP_LIMIT_S) == (0, True), took_s
    with ServerProcess(tmp_path) as again, again.client() as local:
        assert events(local, PROJECT)[-1]["cursor"] == last
        assert again.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM])
def test_stop_without_clients_is_quick(tmp_path: Path, number: signal.Signals) -> None:
    """Control: the same end without stalled clients takes no time, so the seconds above are the clients'."""
    with ServerProcess(tmp_path) as running, running.client() as local:
        overfill(local, register(local, PROJECT, "anna")["agent_id"])
        started_s = time.monotonic()
        running.signal(number)

        assert running.wait(STOP_LIMIT_S) == 0
        assert time.monotonic() - started_s < STOP_LIMIT_S / 3
