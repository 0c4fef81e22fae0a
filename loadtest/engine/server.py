"""The service under test: a child process on a free port, with a data directory of its own. Black box."""

import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from loadtest.engine.processes import cpu_s, rss_mb

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 15.0
POLL_S = 0.002  # the resolution of the start-up figure.
LOG_NAME = "server.log"


class ServerFailed(Exception):
    """The service did not start, or did not stop; the text holds its log."""


@dataclass(slots=True)
class Server:
    """A running service. It can be killed and started again on the same data and the same port."""

    directory: Path
    flags: tuple[str, ...]
    process: subprocess.Popen[bytes]
    port: int
    started_in_s: float

    @property
    def data(self) -> Path:
        """The directory of its data."""
        return self.directory / "data"

    @property
    def log(self) -> str:
        """What it has written so far."""
        return (self.directory / LOG_NAME).read_text()

    def rss_mb(self) -> float:
        """Return the resident memory in MB (10^6 bytes); 0 where there is no /proc to tell."""
        return rss_mb(self.process.pid)

    def cpu_s(self) -> float:
        """Return the processor time it has used so far; 0 where there is no /proc to tell."""
        return cpu_s(self.process.pid)

    def kill(self) -> None:
        """End it as a power cut of the process would: SIGKILL."""
        self.process.kill()
        self.process.wait(STOP_TIMEOUT_S)

    def restart(self) -> float:
        """Start it again after `kill`; return the seconds until it answered. Raises: ServerFailed."""
        started_s = time.perf_counter()
        self.process = _start(self.directory, self.port, self.flags)
        _await_port(self.process, self.directory / LOG_NAME)
        _await_health(self.port)
        self.started_in_s = time.perf_counter() - started_s
        return self.started_in_s


@contextmanager
def running(directory: Path, *flags: str) -> Iterator[Server]:
    """Run the service on this directory; it has answered /health, and is stopped afterwards. Raises: ServerFailed."""
    directory.mkdir(exist_ok=True)
    log_path = directory / LOG_NAME
    started_s = time.perf_counter()
    process = _start(directory, 0, flags)
    server = Server(directory, flags, process, 0, 0.0)
    try:
        server.port = _await_port(process, log_path)
        _await_health(server.port)
        server.started_in_s = time.perf_counter() - started_s
        yield server
    finally:
        _stop(server.process, log_path)


def _start(directory: Path, port: int, flags: tuple[str, ...]) -> subprocess.Popen[bytes]:
    words = ["--port", str(port), "--data", str(directory / "data"), "--keys-file", str(directory / "keys.yaml")]
    with (directory / LOG_NAME).open(
        "wb"
    ) as log:  # a new one with each start, so that `server.started` is of this one.
        return subprocess.Popen(
            [sys.executable, "-m", "intermute", "serve", "--log-format", "json", *words, *flags],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def _await_port(process: subprocess.Popen[bytes], log_path: Path) -> int:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s and process.poll() is None:
        for line in log_path.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n") and line.startswith(b"{"):
                entry = json.loads(line)
                if entry.get("event") == "server.started":
                    return int(urlsplit(entry["addresses"]).port or 0)
        time.sleep(POLL_S)
    raise ServerFailed(f"no server.started in the log:\n{log_path.read_text()}")


def _await_health(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_TIMEOUT_S)
    try:
        connection.request("GET", "/health")
        status = connection.getresponse().status
    finally:
        connection.close()
    if status != 200:
        raise ServerFailed(f"GET /health was answered {status}")


def _stop(process: subprocess.Popen[bytes], log_path: Path) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        code = process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise ServerFailed(f"SIGTERM did not end it in {STOP_TIMEOUT_S} s") from None
    if code != 0:
        raise ServerFailed(f"it ended with code {code}:\n{log_path.read_text()}")
