"""Every task is claimed once: what one agent has, nobody else is given, and what is done never comes back.

An agent surely has a task from when it has read so until it sends that it gives it back. Finishing gives nothing back: a
finished task is nobody else's for good. The service can give a task to somebody else only after it has seen it given back,
so a claim that is read before that is wrong, whatever the network did to the order of the answers.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

from loadtest.promises.history import History, Violation

PROMISE: Final = "every task is claimed once"


@dataclass(frozen=True, slots=True)
class Claim:
    """One agent's claim; a new object for each."""

    agent: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How a task is listed. `agent` is empty where nobody has it."""

    agent: str
    is_done: bool


class ClaimsOnce:
    """Who surely has which task. Agents are told apart by their ids, as answers name them."""

    promise = PROMISE

    def __init__(self, history: History) -> None:
        self._history = history
        self._made: set[str] = set()
        self._held: dict[str, Claim] = {}
        self._given_back: set[str] = set()
        self._finishing: dict[str, str] = {}
        self._done: dict[str, str] = {}
        self._unknown: Counter[str] = Counter()
        self.checked = 0

    def made(self, task: str) -> None:
        """Note a task that was acknowledged."""
        self._made.add(task)

    def claim_of(self, task: str) -> Claim | None:
        """Return who surely has a task now; for `refused`, to be asked before the request is sent."""
        return self._held.get(task)

    def claimed(self, at_s: float, agent: str, task: str, said: str) -> None:
        """Note a claim when its answer, which says whose the task is, has been read. Raises: Violation."""
        self.checked += 1
        self._history.note(at_s, agent, task, f"was told that {said} has claimed it")
        other, finisher = self._held.get(task), self._done.get(task) or self._finishing.get(task)
        if said != agent:
            self._fail(task, f"{agent} claimed {task}, and the answer says that {said} has it")
        if finisher is not None:
            self._fail(task, f"{task} was given to {agent} after {finisher} had finished it")
        if other is not None and other.agent != agent:
            self._fail(task, f"{task} was given to {agent} while {other.agent} had it")
        self._given_back.discard(task)
        self._held[task] = other or Claim(agent)

    def refused(self, at_s: float, agent: str, task: str, named: str, before: Claim | None) -> None:
        """Note that a claim was refused because of the named agent; `before` is what `claim_of` was. Raises: Violation."""
        self.checked += 1
        self._history.note(at_s, agent, task, f"was told that {named} has it")
        if named == agent:
            self._fail(task, f"{agent} was refused {task} because it has it itself")
        if before is not None and self._held.get(task) is before and named != before.agent:
            self._fail(task, f"{agent} was told that {named} has {task}, and {before.agent} had it all the time")

    def unknown(self, at_s: float, agent: str) -> None:
        """Note that an agent may have been given a task without hearing of it."""
        self._history.note(at_s, agent, agent, "may have been given a task, and has no answer")
        self._unknown[agent] += 1

    def giving_back(self, at_s: float, agent: str, task: str) -> None:
        """Note that a task is about to be given back: from now on nobody surely has it."""
        self._history.note(at_s, agent, task, "gives it back")
        del self._held[task]
        self._given_back.add(task)

    def finishing(self, at_s: float, agent: str, task: str) -> None:
        """Note that a task is about to be finished: nobody else may get it any more."""
        self._history.note(at_s, agent, task, "finishes it")
        del self._held[task]
        self._finishing[task] = agent

    def finished(self, at_s: float, agent: str, task: str) -> None:
        """Note that the end was acknowledged."""
        self._history.note(at_s, agent, task, "was told that it is done")
        self._done[task] = self._finishing.pop(task)

    def demand(self, listed: Mapping[str, Standing]) -> None:
        """Hold all tasks, as they are listed when no request is under way, against what was told. Raises: Violation."""
        untold: Counter[str] = Counter()
        for task in sorted(self._made | listed.keys()):
            self.checked += 1
            found = listed.get(task)
            if found is None:
                self._fail(task, f"{task} was made and is not listed")
            held, done = self._held.get(task), self._done.get(task)
            if held is not None and found != Standing(held.agent, is_done=False):
                self._fail(task, f"{task} is {held.agent}'s and is listed as {found}")
            if done is not None and found != Standing(done, is_done=True):
                self._fail(task, f"{task} was finished by {done} and is listed as {found}")
            if task in self._finishing and found.agent != self._finishing[task]:
                self._fail(task, f"{task} was being finished by {self._finishing[task]} and is listed as {found}")
            if found.agent and held is None and done is None and task not in self._finishing:
                untold[found.agent] += 1
                if untold[found.agent] > self._unknown[found.agent]:
                    self._fail(task, f"{task} is listed as {found}, and nobody was told so")

    def _fail(self, task: str, text: str) -> NoReturn:
        raise Violation(PROMISE, text, self._history.about(task))
