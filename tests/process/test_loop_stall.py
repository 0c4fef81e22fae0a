"""A process whose loop stands still ends itself, so that it can be started anew (guarantees.md G17)."""

import signal
import subprocess
import sys
from pathlib import Path

from calls import good
from server_process import PATIENCE_S, ServerProcess, environment, until

_SERVICE = """
import resource, sys, threading
import trio
from supervisor import ChildSpec, LoopGuard, open_supervisor

async def main():
    async with open_supervisor() as supervisor:
        await supervisor.start(ChildSpec(name="loop-guard", main=LoopGuard(dump_to=sys.stderr, stall_s=0.2).run))
        stand_still()

def stand_still():
    threading.Event().wait(SECONDS)

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
trio.run(main)
"""


def ended(stands_s: float) -> "subprocess.CompletedProcess[str]":
    """Return how a process ended whose loop stands still for so long."""
    return subprocess.run(
        [sys.executable, "-c", _SERVICE.replace("SECONDS", str(stands_s))],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_loop_that_stands_ends_the_process() -> None:
    """The process ends by SIGABRT, and standard error shows where every thread was."""
    found = ended(60)

    assert found.returncode == -signal.SIGABRT
    assert "in stand_still" in found.stderr
    assert "in watch" in found.stderr


def test_loop_that_goes_on_ends_nothing() -> None:
    """Control: a loop that was held up for less than the limit is left alone."""
    found = ended(0.02)

    assert (found.returncode, found.stderr) == (0, "")


def test_loop_is_guarded(tmp_path: Path) -> None:
    """The service has a guard of its loop and a watchdog of its projects, and both run."""
    guards = {"loop-guard", "watchdog", "disk"}  # That of the disk takes its ballast first, beside what is served.
    with ServerProcess(tmp_path) as running, running.client() as local:

        def running_parts() -> set[str]:
            parts = good(local.get("/health"))["process"]["parts"]
            return guards & {part["name"] for part in parts if part["state"] == "running"}

        assert until(lambda: running_parts() == guards, f"{guards} to run")
