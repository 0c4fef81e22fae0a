"""Text comes into a real terminal as it is and as nothing else, and a tmux that hangs, fails or is missing is an answer."""

import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import machine
import pytest
import trio

from intermute.core.envelope import enveloped
from intermute.web.tmux import InjectionFailed, Tmux, exactly

END = "--- INTERMUTE-PEER-MESSAGE END ---"


class Pipe:
    """A named pipe into which another process writes lines."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        # Open for writing as well, so that it does not end with its first writer.
        self._stream = trio.lowlevel.FdStream(os.open(path, os.O_RDWR | os.O_NONBLOCK))
        self._rest = b""

    async def lines(self, last: str | None = None) -> list[str]:
        """Return the next lines, up to this one, or one of them."""
        found: list[str] = []
        with trio.fail_after(20):
            while not found or (last is not None and found[-1] != last):
                line, end, self._rest = self._rest.partition(b"\n")
                if end:
                    found.append(line.decode())
                else:
                    self._rest = line + await self._stream.receive_some(4096)
        return found


class Terminal:
    """A tmux server of its own, with a session `main` whose one pane hands on every line that it gets."""

    def __init__(self, home: Path) -> None:
        self.command = (machine.tmux(), "-S", str(home / "s"), "-f", "/dev/null")
        self.heard = Pipe(home / "heard")
        self.tmux("new-session", "-d", "-s", "main", "-x", "200", "-y", "50", f"cat > {self.heard.path}")

    def tmux(self, *arguments: str) -> str:
        """Run a command of tmux and return what it says."""
        return subprocess.run(
            [*self.command, *arguments], check=True, capture_output=True, text=True, timeout=10
        ).stdout


@pytest.fixture
async def terminal(tmp_path: Path) -> AsyncIterator[Terminal]:
    """A real terminal."""
    made = Terminal(tmp_path)
    yield made
    made.tmux("kill-server")


async def test_text_comes_into_a_real_terminal(terminal: Terminal) -> None:
    """Every line of the envelope is there, in order, and the buffer is gone."""
    text = enveloped("a1", "t", "hello\n$(touch x) C-c Enter `ls` ; ünï")

    await Tmux(terminal.command).inject("main", text)

    assert await terminal.heard.lines(END) == text.split("\n")
    assert terminal.tmux("list-buffers") == ""


async def test_window_and_pane_are_found(terminal: Terminal) -> None:
    """A target may name window and pane."""
    await Tmux(terminal.command).inject("main:0.0", enveloped("a1", "", "x"))

    assert END in await terminal.heard.lines(END)


async def test_two_at_once_do_not_mix(terminal: Terminal) -> None:
    """Each has a buffer of its own, so nobody pastes another's text (defect 41)."""
    tmux = Tmux(terminal.command)
    async with trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(tmux.inject, "main", f"first {number}\nlast {number}")

    await tmux.inject("main", "done")

    found = [each for each in await terminal.heard.lines("done") if each and each != "done"]
    assert sorted(found) == sorted(f"{place} {number}" for number in range(8) for place in ("first", "last"))


@pytest.mark.parametrize("target", ["mai", "other", "main:7", "main:0.9"])
async def test_target_that_is_not_there_fails(terminal: Terminal, target: str) -> None:
    """The beginning of a session's name is not its name, and what could not be pasted is not left behind."""
    with pytest.raises(InjectionFailed, match="tmux"):
        await Tmux(terminal.command).inject(target, "x")

    assert terminal.tmux("list-buffers") == ""
    await Tmux(terminal.command).inject("main", "done")
    assert await terminal.heard.lines() == ["done"]


@pytest.mark.parametrize("target", ["", "a b", "a;b", "a:b:c", "$(ls)", "a\n", "%1", "=main", "a:"])
async def test_what_is_no_target_is_not_tried(tmp_path: Path, target: str) -> None:
    """Whatever is no name of a terminal never comes to tmux: the stand-in would have failed otherwise."""
    with pytest.raises(InjectionFailed, match="not the name"):
        await Tmux((str(tmp_path / "no-such-thing"),)).inject(target, "x")


async def test_missing_tmux_fails(tmp_path: Path) -> None:
    """A machine without tmux is told apart from a terminal that is gone."""
    with pytest.raises(InjectionFailed, match="cannot be run"):
        await Tmux((str(tmp_path / "no-such-thing"),)).inject("main", "x")


def stand_in(home: Path, script: str) -> tuple[str, ...]:
    """Return the call of a stand-in for tmux."""
    (home / "tmux.sh").write_text(script)
    return ("/bin/sh", str(home / "tmux.sh"))


async def test_nothing_of_a_message_is_an_argument(tmp_path: Path) -> None:
    """The text goes through standard input; the arguments are ours, but for the target."""
    calls = tmp_path / "calls"
    command = stand_in(tmp_path, f'printf "%s|" "$@" >> {calls}; echo >> {calls}; cat >> {tmp_path}/in\n')

    await Tmux(command).inject("main:0.1", "Enter\nC-c")

    lines = calls.read_text().splitlines()
    buffer = lines[1].split("|")[2]
    assert lines == [
        "has-session|-t|=main:|",
        f"load-buffer|-b|{buffer}|-|",
        f"paste-buffer|-p|-d|-b|{buffer}|-t|=main:0.1|",
        "send-keys|-t|=main:0.1|Enter|",
    ]
    assert (tmp_path / "in").read_text() == "Enter\nC-c\n"


async def test_tmux_that_hangs_is_killed(tmp_path: Path) -> None:
    """Once nobody waits it is gone at once, though it does not listen to a polite word."""
    pipe = Pipe(tmp_path / "pid")
    command = stand_in(tmp_path, f'trap "" TERM; echo $$ > {pipe.path}; read -r line < {pipe.path}-none; sleep 600\n')
    os.mkfifo(f"{pipe.path}-none")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(Tmux(command).inject, "main", "x")
        [pid] = await pipe.lines()
        began_s = trio.current_time()
        nursery.cancel_scope.cancel()

    assert trio.current_time() - began_s < 2
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


@pytest.mark.parametrize(("target", "exact"), [("main", "=main:"), ("main:0", "=main:0"), ("main:0.1", "=main:0.1")])
def test_target_is_exact(target: str, exact: str) -> None:
    """tmux is told to take the name as it is."""
    assert exactly(target) == exact
