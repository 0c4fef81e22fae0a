"""The service under test: a child process on a free port, with a data directory of its own. Black box."""

import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 15.0
POLL_S = 0.002  # the resolution of the start-up figure.


class ServerFailed(Exception):
    """The service did not start, or did not stop; the text holds its log."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running service."""

    process: subprocess.Popen[bytes]
    port: int
    started_in_s: float

    def rss_mb(self) -> float:
        """Return the resident memory in MB (10^6 bytes); 0 where there is no /proc to tell."""
        lines = self._proc("status").splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) * 1024 / 1e6

    def cpu_s(self) -> float:
        """Return the processor time it has used so far; 0 where there is no /proc to tell."""
        fields = self._proc("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else 0.0

    def _proc(self, name: str) -> str:
        path = Path(f"/proc/{self.process.pid}/{name}")
        return path.read_text() if path.exists() else ""

    def kill(self) -> None:
        """End it as a power cut of the process would: SIGKILL."""
        self.process.kill()
        self.process.wait(STOP_TIMEOUT_S)


@contextmanager
def running(directory: Path, *flags: str) -> Iterator[Server]:
    """Run the service on this directory; it has answered /health, and is stopped afterwards. Raises: ServerFailed."""
    directory.mkdir(exist_ok=True)
    log_path = directory / "server.log"
    words = ["--port", "0", "--data", str(directory / "data"), "--keys-file", str(directory / "keys.yaml")]
    started_s = time.perf_counter()
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "intermute", "serve", "--log-format", "json", *words, *flags],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        port = _await_port(process, log_path)
        _await_health(port)
        yield Server(process, port, time.perf_counter() - started_s)
    finally:
        _stop(process, log_path)


def start_figures(directory: Path, runs: int, settle_s: float) -> dict[str, float]:
    """Return the median start-up time and idle memory of some starts, each on an empty directory."""
    starts, memory = [], []
    for number in range(runs):
        with running(directory / f"start-{number}") as server:
            starts.append(server.started_in_s)
            time.sleep(settle_s)
            memory.append(server.rss_mb())
    return {
        "start_s": statistics.median(starts),
        "start_slowest_s": max(starts),
        "idle_rss_mb": statistics.median(memory),
    }


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
