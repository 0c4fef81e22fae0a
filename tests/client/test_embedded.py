"""The embedded service: started and stopped by its host, with its port, its refusals and its end told to it."""

import socket
import threading
import time
from pathlib import Path

import httpx
import pytest
import trio

from intermute import embedded
from intermute.client import Client
from intermute.core.api.messages import GetMessage, MessageView
from intermute.core.errors import UnknownMessage

STOP_LIMIT_S = 10.0


class Wrong(Exception):
    """An error of the host's own."""


async def test_service_runs_while_the_block_does(tmp_path: Path) -> None:
    """It answers at the port it was given, keeps what it acknowledged, and is gone afterwards."""
    async with embedded.serve(tmp_path / "data") as server:
        port = int(server.url.rpartition(":")[2])
        async with Client(server.url, project="acme", agent_name="anna") as client:
            sent = await client.messages.send("ben", "hello")
    with pytest.raises(OSError, match="connect"):
        await trio.open_tcp_stream("127.0.0.1", port)

    async with embedded.serve(tmp_path / "data", port=port) as server, Client(server.url, project="acme") as client:
        assert server.url == f"http://127.0.0.1:{port}"
        assert (await client.call(GetMessage(message_id=sent.message_id), MessageView)).body == "hello"
        with pytest.raises(UnknownMessage):
            await client.messages.get("nowhere")


def test_service_runs_in_a_program_without_trio(tmp_path: Path) -> None:
    """In a thread, for any host: the same service, over TCP and its Unix socket."""
    with embedded.in_thread(tmp_path / "data", socket=tmp_path / "socket") as server:
        health = httpx.get(f"{server.url}/health", trust_env=False).json()
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(tmp_path / "socket"))) as unix:
            assert unix.get("http://127.0.0.1/health").status_code == 200

    assert (health["status"], server.addresses[1]) == ("ok", f"unix:{tmp_path / 'socket'}")
    assert {"watchdog", "loop-guard", "web"} <= {each["name"] for each in health["process"]["parts"]}


def test_service_leaves_no_thread_behind(tmp_path: Path) -> None:
    """When the block is over, so are the threads of the service."""
    before = set(threading.enumerate())
    with embedded.in_thread(tmp_path / "data") as server:
        httpx.get(f"{server.url}/api/agents?project=acme", trust_env=False)

    left = [each.name for each in set(threading.enumerate()) - before if not each.name.startswith("Trio thread")]
    assert left == []


def test_directory_in_use_is_refused_to_the_host(tmp_path: Path) -> None:
    """A second service on the same data is refused where it was started, and the first one goes on."""
    with embedded.in_thread(tmp_path / "data") as server:
        with pytest.raises(embedded.StartRefused, match="data"), embedded.in_thread(tmp_path / "data"):
            raise AssertionError("both serve it")

        assert httpx.get(f"{server.url}/health", trust_env=False).status_code == 200


async def test_port_in_use_is_refused_to_the_host(tmp_path: Path) -> None:
    """A port that is taken is named, alone and as what it is, and the data can be served afterwards."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(embedded.StartRefused, match=str(port)):
            async with embedded.serve(tmp_path / "data", port=port):
                raise AssertionError("it serves there")

    async with embedded.serve(tmp_path / "data"):
        pass


async def test_error_of_the_host_comes_out_alone(tmp_path: Path) -> None:
    """An error of the block is raised as it is, after the service was stopped."""
    with pytest.raises(Wrong):
        async with embedded.serve(tmp_path / "data"):
            raise Wrong

    async with embedded.serve(tmp_path / "data"):
        pass


async def test_cancelled_host_stops_the_service_in_order(tmp_path: Path) -> None:
    """A host that is cancelled leaves a directory that can be served again at once."""
    with trio.move_on_after(0.2) as scope:
        async with embedded.serve(tmp_path / "data"):
            await trio.sleep_forever()

    assert scope.cancelled_caught
    async with embedded.serve(tmp_path / "data"):
        pass


async def test_followers_are_sent_home_when_the_host_stops(tmp_path: Path) -> None:
    """Open streams do not hold up the end."""
    async with embedded.serve(tmp_path / "data") as server, trio.open_nursery() as nursery:

        async def follow(task_status: trio.TaskStatus[None]) -> None:
            async with Client(server.url, project="acme") as client, client.follow() as events:
                task_status.started()
                await anext(events)

        await nursery.start(follow)
        started_s = time.monotonic()
        nursery.cancel_scope.cancel()

    assert time.monotonic() - started_s < STOP_LIMIT_S / 2


class HangingLog:
    """A log whose disk hangs at one event, and the loop that writes it, until it is let go."""

    def __init__(self, event: str) -> None:
        self.released = threading.Event()
        self._event = event

    def __call__(self, event: str, **_fields: object) -> None:
        if event == self._event:
            self.released.wait()


async def test_failed_service_cancels_its_hosts_block(tmp_path: Path) -> None:
    """A service whose loop stands still does not end its host, as it ends its own process: the host's block is cancelled."""
    log = HangingLog("project.opened")

    async def call(url: str) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=60) as caller:
            await caller.post(f"{url}/api/agents", json={"project": "acme", "name": "anna"})

    with pytest.raises(embedded.ServerFailed) as failed:
        async with embedded.serve(tmp_path / "data", log=log) as server, trio.open_nursery() as nursery:
            nursery.start_soon(call, server.url)
            try:
                with trio.fail_after(STOP_LIMIT_S * 2):
                    await trio.sleep_forever()
            finally:
                log.released.set()

    assert "stood still for ten seconds" in str(failed.value.__cause__)


class FailingLog:
    """A log that cannot be written at the end."""

    def __call__(self, event: str, **_fields: object) -> None:
        if event == "server.stopped":
            raise OSError("the log cannot be written")


def test_bad_end_is_told_to_the_host(tmp_path: Path) -> None:
    """What goes wrong while the service is stopped is raised at the end of its block."""
    with pytest.raises(embedded.ServerFailed), embedded.in_thread(tmp_path / "data", log=FailingLog()) as server:
        server.check()

    assert isinstance(server.failure, ExceptionGroup | OSError)


def test_service_that_hangs_does_not_hold_its_host(tmp_path: Path) -> None:
    """A thread that nobody can cancel costs the host ten seconds at most, and the host is told."""
    log = HangingLog("server.stopped")
    started_s = 0.0
    with pytest.raises(embedded.StopTimedOut, match="end this process"), embedded.in_thread(tmp_path / "data", log=log):
        started_s = time.monotonic()
    took_s = time.monotonic() - started_s
    log.released.set()

    assert took_s <= STOP_LIMIT_S
