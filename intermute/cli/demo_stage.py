"""The demo's narration: one line at a time, at a pace that a person can read, in colour where there is a terminal."""

import io
import os
import shutil
import sys
from typing import Final

import click
import trio

PACE_S: Final = 0.5  # seconds between two lines: about 18 lines make the 8 to 10 s that issue 2 asks for.
_REFUSAL_DELAY_S: Final = 0.05
_COLUMNS_ELSEWHERE: Final = 200  # columns where there is no terminal: wide enough for every call to be shown.
_COLOURS: Final = {"Ada": "cyan", "Ben": "yellow", "Cleo": "magenta"}
_MARKS: Final = {"GRANTED": "green", "CONFLICT": "red", "HAND-OVER": "green"}


class Stage:
    """Prints what happens. Whoever speaks holds the floor for one beat, so lines come in the order of events."""

    def __init__(self, *, is_paced: bool) -> None:
        self._pace_s = PACE_S if is_paced else 0.0
        self._floor = trio.Lock()
        self._started_s = trio.current_time()
        self._is_heard = True
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # A file's name may have what the terminal cannot show.
        self._columns = shutil.get_terminal_size((_COLUMNS_ELSEWHERE, 0)).columns
        self._is_coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    async def say(self, name: str, mark: str, text: str, call: str) -> None:
        """Tell what an agent did or met, and by which call."""
        async with self._floor:
            at = f"{trio.current_time() - self._started_s:5.1f} s"
            who = self._styled(f"{name:<4}", fg=_COLOURS.get(name), bold=True)
            what = self._styled(f"{mark:<9}", fg=_MARKS.get(mark), bold=mark in _MARKS)
            is_wide = len(f"{at}  {name:<4}  {mark:<9}  {text}  [{call}]") <= self._columns
            how = f"  {self._styled(f'[{call}]', dim=True)}" if is_wide else ""
            self.print(f"{self._styled(at, dim=True)}  {who}  {what}  {text}{how}")
            await trio.sleep(self._pace_s)

    async def say_refused(self, name: str, text: str, call: str) -> None:
        """Tell of a refusal, after the grant that caused it: both answers leave the server with the same commit."""
        await trio.sleep(_REFUSAL_DELAY_S)
        await self.say(name, "CONFLICT", text, call)

    def title(self, text: str) -> None:
        """Print a heading."""
        self.print(self._styled(text, bold=True))

    def print(self, text: str) -> None:
        """Print a line; once nobody reads any more, print nothing."""
        if self._is_heard:
            try:
                click.echo(text, color=self._is_coloured)
                sys.stdout.flush()
            except BrokenPipeError:
                self._is_heard = False
                # Else the interpreter meets the broken pipe again when it flushes at exit (library docs, SIGPIPE).
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _styled(self, text: str, *, fg: str | None = None, bold: bool = False, dim: bool = False) -> str:
        if not self._is_coloured:
            return text
        return click.style(text, fg=fg, bold=bold or None, dim=dim or None)
