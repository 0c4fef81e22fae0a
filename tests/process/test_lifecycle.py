"""From start to end: what a server says when it starts, how it stops whatever clients do, and what a restart keeps."""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from calls import Json, events, good, head, inbox, mark, refusal, register, release, reserve, send
from server_process import PATIENCE_S, REMOTE, ServerProcess, run_command, until
from sockets import handshake

STOP_LIMIT_S = 8.0  # seconds; the issue promises 10 whatever clients do, and the machine may be busy.


@contextmanager
def stalled_socket(server: ServerProcess, local: httpx.Client) -> Iterator[socket.socket]:
    """Open a socket whose client never reads, and send it more than all buffers on the way hold."""
    status, _, _, bare = handshake(server, "/ws/events?project=stalled", receive_buffer_bytes=4096)
    assert status == 101
    with closing(bare):
        for _ in range(500):
            send(local, "stalled", "a1", ["b1"], subject="x" * 1024)
        yield bare


def frames(received: bytes) -> list[tuple[int, bytes]]:
    """Return opcode and payload of each server frame."""
    found = []
    while received:
        length, start = received[1], 2
        if length == 126:
            length, start = int.from_bytes(received[2:4], "big"), 4
        found.append((received[0] & 0x0F, received[start : start + length]))
        received = received[start + length :]
    return found


def ended_within(server: ServerProcess, number: signal.Signals) -> tuple[int, float]:
    """Send the signal; return the exit code and how long it took."""
    started_s = time.monotonic()
    server.signal(number)
    return server.wait(STOP_LIMIT_S), time.monotonic() - started_s


def test_idle_server_stops_at_once(tmp_path: Path) -> None:
    """With only an idle keep-alive client the end comes within two seconds, with exit code 0; for Ctrl-C as well."""
    with ServerProcess(tmp_path) as running, running.client() as local:
        good(local.get("/health"))

        code, took_s = ended_within(running, signal.SIGINT)

        assert code == 0
        assert took_s < 2
        assert running.events("server.stopping")[0]["signal"] == "SIGINT"
        assert running.events("server.stopped")
        assert (tmp_path / "stdout").read_bytes() == b"", "all is said on standard error"


def test_stop_is_bounded_whatever_clients_do(tmp_path: Path) -> None:
    """Idle, waiting, half-way, listening and stalled clients: the server says goodbye to each and exits 0 in time."""
    with ServerProcess(tmp_path) as running, running.client() as local, ThreadPoolExecutor(1) as threads:
        seen = send(local, "acme", "a1", ["b1"])["cursor"]
        with stalled_socket(running, local), running.connect() as half, running.connect() as silent:
            half.sendall(b"POST /api/agents HTTP/1.1\r\nHost: x\r\nContent-Le")
            status, _, _, listener = handshake(running, "/ws/events?project=acme")
            assert status == 101
            asked = {"project": "acme", "since_cursor": seen, "wait_seconds": 50}
            waiting = threads.submit(local.get, "/api/events", params=asked)
            with running.client() as other:
                until(
                    lambda: good(other.get("/health?project=acme"))["projects"][0]["subscribers"] == 2, "both readers"
                )

            code, _ = ended_within(running, signal.SIGTERM)

            assert code == 0
            assert good(waiting.result(PATIENCE_S)) == {"events": [], "cursor": seen}
            with closing(listener):
                last = frames(b"".join(iter(lambda: listener.recv(65536), b"")))[-1]
            assert silent.recv(1) == b""
    assert last[0] == 0x8
    assert int.from_bytes(last[1][:2], "big") == 1001
    assert f"since_cursor={seen}" in last[1][2:].decode()


def test_stalled_reader_delays_nobody(tmp_path: Path) -> None:
    """While one client does not read, others write and hear as if it were not there."""
    with ServerProcess(tmp_path) as running, running.client() as local, stalled_socket(running, local):
        status, _, _, listener = handshake(running, "/ws/events?project=stalled")
        assert status == 101
        with closing(listener):
            started_s = time.monotonic()
            sent = send(local, "stalled", "a1", ["b1"])
            received = frames(listener.recv(65536))
            assert time.monotonic() - started_s < 1

        assert json.loads(received[0][1])["cursor"] == sent["cursor"]


def test_second_signal_ends_at_once(tmp_path: Path) -> None:
    """Whoever signals twice does not wait for stalled clients; the exit code says that it was cut short."""
    with ServerProcess(tmp_path) as running, running.client() as local, stalled_socket(running, local):
        running.signal(signal.SIGTERM)
        running.logged("server.stopping")

        code, took_s = ended_within(running, signal.SIGTERM)

        assert code == 130
        assert took_s < 1.5


def test_stopping_server_finishes_what_it_accepted(tmp_path: Path) -> None:
    """SIGTERM amid writes: each write is acknowledged and kept, or refused; none is answered and lost."""
    acknowledged: list[str] = []
    started = threading.Event()
    with ServerProcess(tmp_path) as running:

        def write(number: int) -> None:
            with running.client() as fresh:
                for turn in range(1000):
                    body = {"project": "acme", "from": "a1", "to": ["b1"], "id": f"m-{number}-{turn}"}
                    try:
                        answer = fresh.post("/api/messages", json=body)
                    except httpx.TransportError:
                        return
                    if answer.status_code == 503:
                        return
                    acknowledged.append(good(answer)["message_id"])
                    if len(acknowledged) > 100:
                        started.set()

        with ThreadPoolExecutor(8) as threads:
            writers = [threads.submit(write, number) for number in range(8)]
            assert started.wait(PATIENCE_S)
            code, _ = ended_within(running, signal.SIGTERM)
            for writer in writers:
                writer.result(PATIENCE_S)
    with ServerProcess(tmp_path) as again, again.client() as local:
        stored = {event["message_id"] for since in range(0, 10_000, 1000) for event in events(local, "acme", since)}

    assert code == 0
    assert set(acknowledged) <= stored


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that started with a umask of 0 on a directory that was open to all."""
    home = tmp_path_factory.mktemp("settled")
    (home / "data").mkdir()
    (home / "data").chmod(0o777)
    old = os.umask(0)
    try:
        running = ServerProcess(home, "--socket", str(home / "run" / "socket"))
    finally:
        os.umask(old)
    with running:
        yield running


def test_second_server_on_the_directory_refuses(settled: ServerProcess) -> None:
    """One process per data directory: the second exits with code 3 and a sentence; the first serves on."""
    arguments = ["serve", "--port", "0", "--data", str(settled.data), "--keys-file", str(settled.keys_file)]

    second = run_command(*arguments, cwd=settled.home)

    assert second.returncode == 3
    assert "another intermute already serves" in second.stderr
    assert "--data" in second.stderr
    assert "Traceback" not in second.stderr
    with settled.client() as local:
        register(local, "second", "anna")


def test_files_are_their_owners_alone(settled: ServerProcess) -> None:
    """The data directory has mode 0700, though it was open before, and every file in it 0600, whatever the umask."""
    with settled.client() as local:
        register(local, "modes", "anna")

    modes = {path.name: path.stat().st_mode & 0o777 for path in settled.data.iterdir()}

    assert settled.data.stat().st_mode & 0o777 == 0o700
    assert len(modes) >= 4
    assert set(modes.values()) == {0o600}
    assert settled.keys_file.stat().st_mode & 0o777 == 0o600
    assert (settled.home / "run").stat().st_mode & 0o777 == 0o700


def test_project_names_are_not_file_names(settled: ServerProcess) -> None:
    """A project is a file named by a hash, inside the data directory, whatever its name."""
    before = set(settled.data.glob("*.db"))
    with settled.client() as local:
        for name in ("../../escape", "/etc/passwd", "a" * 128, "dev"):
            register(local, name, "anna")

    names = sorted(path.name for path in set(settled.data.glob("*.db")) - before)
    assert len(names) == 4
    assert all(len(name) == 35 and int(name[:32], 16) >= 0 for name in names)
    assert not list(settled.home.rglob("*escape*"))


READS = (
    "/api/agents?project=acme", "/api/reservations?project=acme", "/api/reservations?project=acme&agent=ben",
    "/api/inbox/anna?project=acme", "/api/inbox/anna/counts?project=acme", "/api/threads?project=acme&agent=anna",
    "/api/threads/t?project=acme", "/api/events?project=acme", "/api/projects",
)  # fmt: skip


@dataclass
class Restarted:
    """A server that was stopped and started again, and what was true before."""

    server: ServerProcess
    first: ServerProcess
    before: dict[str, object]
    anna: Json
    cursors: list[int]


@pytest.fixture(scope="module")
def restarted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restarted]:
    """A server after a stop and a start, with an agent, two reservations and a message from before."""
    home = tmp_path_factory.mktemp("restarted")
    with ServerProcess(home) as first, first.client() as local:
        anna = register(local, "acme", "anna", capabilities=["python"], metadata={"repo": "x"}, status="busy")
        held = reserve(local, "acme", anna["agent_id"], "src/**", reason="refactor")
        ended = reserve(local, "acme", "ben", "docs/**")
        release(local, ended["id"], **{"X-Agent-ID": "ben"})
        sent = send(local, "acme", "ben", ["anna"], id="m-1", body="hi", thread_id="t", ack_required=True)
        mark(local, "acme", sent["message_id"], "read", "anna")
        before = {path: local.get(path).json() for path in READS}
        assert first.stop() == 0
    with ServerProcess(home) as again:
        yield Restarted(again, first, before, anna, [held["fence"], ended["fence"], sent["cursor"]])


def without_clocks(found: object) -> object:
    """Return JSON without what may differ after a restart: time left, whether a project is open, and when agents were heard.

    The disk may lag behind the latter by half a minute (guarantees.md G10).
    """
    if isinstance(found, dict):
        lagging = ("expires_in_ms", "open", "last_seen")
        return {name: without_clocks(each) for name, each in found.items() if name not in lagging}
    return [without_clocks(each) for each in found] if isinstance(found, list) else found


def test_restart_shows_everything_as_it_was(restarted: Restarted) -> None:
    """Agents, reservations, messages, receipts, threads, events and projects read the same after a stop and a start."""
    with restarted.server.client() as local:
        after = {path: local.get(path).json() for path in READS}

    assert without_clocks(after) == without_clocks(restarted.before)


def test_restart_goes_on_where_it_was(restarted: Restarted) -> None:
    """What was held is still held, what was sent is known, tokens and sessions are valid, and cursors go on growing."""
    anna = restarted.anna
    with restarted.server.client() as local:
        conflict = {"project": "acme", "agent_id": "ben", "path_pattern": "src/x"}
        refusal(local.post("/api/reservations", json=conflict), 409, "reservation_conflict")
        proof = {"X-Agent-ID": "anna", "X-Agent-Token": anna["token"]}
        good(local.get("/api/agents?project=acme", headers=proof))
        assert register(local, "acme", "anna", session_id=anna["session_id"])["agent_id"] == anna["agent_id"]
        again = send(local, "acme", "ben", ["anna"], id="m-1", body="hi", thread_id="t", ack_required=True)
        assert again["replayed"] is True
        assert reserve(local, "acme", "ben", "docs/**")["fence"] > max(restarted.cursors)


def test_start_is_diagnosed_in_the_log(restarted: Restarted) -> None:
    """The first lines tell version, SQLite, schema, projects, keys file and addresses; each project is examined (IMT-N1)."""
    running = restarted.server
    diagnosed = running.logged("server.diagnosed")[0]
    examined = running.logged("store.examined")[0]

    assert diagnosed["addresses"] == running.url
    assert diagnosed["projects"] == 1
    assert diagnosed["keys_file"] == str(running.keys_file)
    assert tuple(map(int, diagnosed["sqlite"].split("."))) >= (3, 51, 3)
    assert diagnosed["schema"] >= 1
    assert (examined["project"], examined["integrity"], examined["migrations_pending"]) == ("acme", "ok", 0)
    assert all(json.loads(line)["time"].endswith("Z") for line in list(running.lines))


def test_stop_leaves_nothing_in_the_write_ahead_log(tmp_path: Path) -> None:
    """After a clean stop the projects' files are whole in themselves: a copy of them is a backup."""
    with ServerProcess(tmp_path) as running, running.client() as local:
        register(local, "acme", "anna")
        assert running.stop() == 0

    assert [path.name for path in running.data.glob("*-wal") if path.stat().st_size] == []


def test_token_and_leases_outlive_a_kill(tmp_path: Path) -> None:
    """A token still proves its agent, a lease keeps the time it had left, and a short one gets a minute (G8)."""
    with ServerProcess(tmp_path) as first, first.client() as local:
        anna = register(local, "acme", "anna")
        long = reserve(local, "acme", "anna", "src/**", ttl_minutes=10)
        short = reserve(local, "acme", "anna", "docs/**", ttl_seconds=2)
        first.kill()

    with ServerProcess(tmp_path) as again, again.client() as local:
        proof = {"X-Agent-ID": anna["agent_id"], "X-Agent-Token": anna["token"]}
        found = good(local.get(f"/api/reservations/{long['id']}", headers=proof))
        brief = good(local.get(f"/api/reservations/{short['id']}"))
        release(local, long["id"], **proof)

    assert found["expires_at"] == long["expires_at"]
    assert 500_000 < found["expires_in_ms"] <= 600_000
    assert brief["is_active"] is True
    assert 30_000 < brief["expires_in_ms"] <= 60_000


def test_unix_socket_is_removed_and_a_stale_one_replaced(tmp_path: Path) -> None:
    """The socket's file goes with the server; one left behind by a killed server does not keep the next from starting."""
    path = tmp_path / "socket"
    with ServerProcess(tmp_path, "--socket", str(path)) as first:
        first.kill()
    assert path.exists()

    with ServerProcess(tmp_path, "--socket", str(path)) as second:
        transport = httpx.HTTPTransport(uds=str(path))
        with httpx.Client(transport=transport, base_url="http://intermute", trust_env=False) as local:
            good(local.get("/health"))
        assert second.stop() == 0

    assert not path.exists()


def test_file_at_the_socket_path_is_not_deleted(tmp_path: Path) -> None:
    """What is no socket is left alone, and the start is refused (the original deleted it)."""
    (tmp_path / "socket").write_text("precious")

    refused = run_command(
        "serve", "--port", "0", "--data", "data", "--keys-file", "k.yaml", "--socket", "socket", cwd=tmp_path
    )

    assert refused.returncode == 3
    assert "Traceback" not in refused.stderr
    assert (tmp_path / "socket").read_text() == "precious"


def test_damaged_project_leaves_the_others_alone(tmp_path: Path) -> None:
    """A project whose file is garbage is set aside, also after a restart; every other one is served, and so is /health (G18)."""
    with ServerProcess(tmp_path) as first, first.client() as local:
        register(local, "acme", "anna")
        assert first.stop() == 0
    next(first.data.glob("*.db")).write_bytes(b"garbage" * 1000)

    with ServerProcess(tmp_path) as again, again.client() as local:
        answer = local.post("/api/agents", json={"project": "acme", "name": "ben"})
        register(local, "umbra", "ben")

        refusal(answer, 503, "project_quarantined")
        assert int(answer.headers["retry-after"]) >= 1
        again.logged("project.quarantined")
        [shown] = good(local.get("/health?project=acme"))["projects"]
        assert (good(local.get("/health"))["status"], shown["state"]) == ("ok", "quarantined")
        assert refusal(local.get("/health/ready"), 503, "degraded")["count"] == 1
        # To others it says no more than a load balancer needs: how many projects are ill is nobody else's business (G23).
        assert "count" not in refusal(local.get("/health/ready", headers=REMOTE), 503, "degraded")
        assert head(local, "umbra") == 1
        assert inbox(local, "umbra", "ben") == []
        assert again.stop() == 0
    with ServerProcess(tmp_path) as third, third.client() as local:
        refusal(local.post("/api/agents", json={"project": "acme", "name": "ben"}), 503, "project_quarantined")
        assert head(local, "umbra") == 1
        good(local.get("/api/agents"))
    found = run_command("doctor", "--data", "data", cwd=tmp_path)
    assert (found.returncode, "acme: in quarantine since" in found.stdout) == (3, True)
