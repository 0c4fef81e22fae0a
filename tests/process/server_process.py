"""A real server in a process of its own, and how tests talk to it: TCP, an ordinary HTTP client, signals.

The process is `python -m intermute serve` on a free port; what it says on standard error is read line by line. Every wait
has a deadline.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self, TypeVar

import httpx

REPOSITORY = Path(__file__).parents[2]
PATIENCE_S = 15.0
POLL_S = 0.02
REMOTE = {"X-Forwarded-For": "203.0.113.10"}
"""Makes a call over loopback a remote one, so that every rule for keys can be tried from here (contract.md 3.4)."""

Found = TypeVar("Found")


def until(look: Callable[[], Found | None], what: str, patience_s: float = PATIENCE_S) -> Found:
    """Return the first true value that `look` returns; fail after the deadline, naming what was awaited."""
    deadline_s = time.monotonic() + patience_s
    while time.monotonic() < deadline_s:
        if found := look():
            return found
        time.sleep(POLL_S)
    raise AssertionError(f"waited {patience_s} s in vain for {what}")


def environment(**changes: str) -> dict[str, str]:
    """Return this process's environment, from which a child finds the package and nothing of ours is configured."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("INTERMUTE_")}
    return {**kept, "PYTHONPATH": str(REPOSITORY), **changes}


def run_command(
    *arguments: str, cwd: Path, wrapper: Sequence[str] = (), **changes: str
) -> "subprocess.CompletedProcess[str]":
    """Run `python -m intermute` with these arguments to its end; `changes` are environment variables, `wrapper` as below."""
    return subprocess.run(
        [*wrapper, sys.executable, "-m", "intermute", *arguments],
        cwd=cwd,
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


class ServerProcess:
    """One `intermute serve`, or another program like it. Resources: used as a context manager, it is gone afterwards.

    `wrapper` is a command that ends by executing the one it is given.
    """

    def __init__(
        self,
        home: Path,
        *options: str,
        command: str | None = "serve",
        port: int = 0,
        program: Sequence[str] = ("-m", "intermute"),
        wrapper: Sequence[str] = (),
        changes: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.home, self.data, self.keys_file = home, home / "data", home / "keys.yaml"
        home.mkdir(parents=True, exist_ok=True)
        chosen = ["--port", str(port), "--data", str(self.data), "--keys-file", str(self.keys_file)]
        arguments = [] if command is None else [command, *chosen, "--log-format", "json", *options]
        self.lines: list[str] = []
        self._news = threading.Condition()
        with (home / "stdout").open("ab") as stdout:
            self.process = subprocess.Popen(
                [*wrapper, sys.executable, *program, *arguments],
                cwd=home,
                env=environment(**changes),
                stdout=stdout,
                stderr=subprocess.PIPE,
                text=True,
            )
        self._reading = threading.Thread(target=self._read_log, daemon=True)
        self._reading.start()

    def __enter__(self) -> Self:
        self.started()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        # The directories of the last runs are kept, and nobody wants to look at this.
        (self.data / "ballast").unlink(missing_ok=True)

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._news:
                self.lines.append(line)
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    # ---- what it says

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the log lines of this event, decoded."""
        decoded = [json.loads(line) for line in list(self.lines) if line.startswith("{")]
        return [line for line in decoded if line["event"] == name]

    def logged(self, name: str, count: int = 1) -> list[dict[str, Any]]:
        """Return the log lines of this event as soon as there are that many."""

        def look() -> list[dict[str, Any]] | None:
            found = self.events(name)
            return found if len(found) >= count else None

        return until(look, f"{count} log line(s) {name}; so far: {self.lines}")

    def started(self) -> dict[str, Any]:
        """Return the log line that says that it serves; fail if it ended instead."""

        def look() -> dict[str, Any] | None:
            has_ended = self.process.poll() is not None
            if has_ended:
                self._reading.join(PATIENCE_S)
            found = self.events("server.started")
            assert found or not has_ended, f"the server ended: {self.lines}"
            return found[0] if found else None

        return until(look, "server.started")

    @property
    def url(self) -> str:
        """The address on which it says it serves TCP."""
        addresses = str(self.started()["addresses"]).split(",")
        return next(address for address in addresses if address.startswith("http://"))

    @property
    def port(self) -> int:
        """The port it was given."""
        return int(self.url.rpartition(":")[2])

    # ---- how to talk to it

    def client(self, headers: Mapping[str, str] | None = None, **options: Any) -> httpx.Client:
        """Return an HTTP client for it; the caller closes it. `options` are httpx's (Any: as httpx has them)."""
        # There is no TLS here; `verify` only keeps each client from loading a store of certificates, 20 ms a time.
        return httpx.Client(
            base_url=self.url, headers=headers, timeout=PATIENCE_S, trust_env=False, verify=False, **options
        )

    def connect(self, *, receive_buffer_bytes: int | None = None) -> socket.socket:
        """Return a bare connection; the caller closes it."""
        bare = socket.socket()
        if receive_buffer_bytes is not None:
            bare.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        bare.settimeout(PATIENCE_S)
        bare.connect(("127.0.0.1", self.port))
        return bare

    # ---- how it ends

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and to nothing else."""
        self.process.send_signal(number)

    def wait(self, patience_s: float = PATIENCE_S) -> int:
        """Return its exit code once it has ended and everything it said has been read."""
        code = self.process.wait(patience_s)
        self._reading.join(patience_s)
        if self.process.stderr is not None:
            self.process.stderr.close()
        return code

    def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """End it at once, if it has not ended yet."""
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
