"""Putting text into a terminal: what can do that, and tmux, which does. Source: contract.md 1.10 and defects 40 and 41.

The text goes in through a buffer of its own, never as keys with names, and in brackets where the program in the terminal
knows them: so its lines are pasted, and the one Enter after them is ours.
"""

import secrets
import subprocess
from collections.abc import Sequence
from typing import Final, Protocol

import trio

from intermute.core.live import is_target

_SAID_CHARS_MAX: Final = 200  # characters of what tmux said that go into an event.


class InjectionFailed(Exception):
    """The text is not in the terminal; the words say why."""


class Injector(Protocol):
    """What can put text into a terminal."""

    async def inject(self, target: str, text: str) -> None:
        """Put the text into the terminal and press Enter.

        Raises: InjectionFailed. Cancellation: whatever was started is killed; the text may be there or not.
        """


class Tmux:
    """The one real injector. `command` is how tmux is called, with the options that choose its server."""

    def __init__(self, command: Sequence[str] = ("tmux",)) -> None:
        self._command = tuple(command)

    async def inject(self, target: str, text: str) -> None:
        """Put the text into the pane through a buffer that nobody else uses. Raises: InjectionFailed."""
        if not is_target(target):
            raise InjectionFailed("that is not the name of a terminal")
        pane, buffer = exactly(target), f"intermute-{secrets.token_hex(8)}"
        await self._run("has-session", "-t", exactly(target.partition(":")[0]))
        await self._run("load-buffer", "-b", buffer, "-", text=f"{text}\n")
        try:
            await self._run("paste-buffer", "-p", "-d", "-b", buffer, "-t", pane)
        except InjectionFailed:
            await self._run("delete-buffer", "-b", buffer)
            raise
        await self._run("send-keys", "-t", pane, "Enter")

    async def _run(self, *arguments: str, text: str = "") -> None:
        try:
            done = await trio.run_process(
                [*self._command, *arguments],
                stdin=text.encode(),
                capture_stdout=True,
                capture_stderr=True,
                check=False,
                deliver_cancel=_kill,
            )
        except OSError as error:
            raise InjectionFailed(f"tmux cannot be run: {error.strerror}") from error
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip()[:_SAID_CHARS_MAX]
            raise InjectionFailed(f"tmux {arguments[0]}: {said or f'exit code {done.returncode}'}")


def exactly(target: str) -> str:
    """Return a target that tmux does not take for the beginning of another session's name."""
    return f"={target}" if ":" in target else f"={target}:"


async def _kill(process: subprocess.Popen[bytes] | trio.Process) -> None:
    """End a tmux that hangs at once: trio would ask it first, and wait five seconds for it to go."""
    process.kill()
    await trio.lowlevel.checkpoint()
