"""Concurrent histories of reservations over HTTP against the real process, which is killed or crashes meanwhile (G6).

Eight clients reserve, renew, release and check eight patterns that overlap, and note when they asked, when they were
answered, and how. What an answer leaves open stays open in the history.
"""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

import httpx
from calls import Json, good
from failing_server import PROGRAM, VARIABLE
from linearizability import Operation, Verdict, check
from reservation_model import EMPTY, NOBODY, PATTERNS, Action, Check, Expire, Release, Renew, Reserve, step
from server_process import PATIENCE_S, POLL_S, ServerProcess

CLIENTS: Final = 8
OPERATIONS: Final = 50
SHORT_TTL_S: Final = 1
LONG_TTL_S: Final = 3600
RESERVATIONS: Final = "/api/reservations"
NOT_APPLIED: Final = frozenset({"storage_unavailable", "storage_full", "project_parked", "overloaded", "shutting_down",
    "internal_error"})  # fmt: skip
UNKNOWN: Final = frozenset({"outcome_unknown", "deadline_exceeded"})
History = list[Operation[Action]]


@dataclass(frozen=True)
class Taken:
    """A history, what the checker says of it, and how often the service died or its actor crashed meanwhile."""

    history: History
    verdict: Verdict[Action]
    deaths: int
    crashes: int


@dataclass
class Notes:
    """What one project's clients did; ids of reservations stand for grants until the end."""

    project: str
    operations: list[tuple[Action, list[str], float, float]] = field(default_factory=list)
    expiries: list[tuple[float, Expire]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    numbers: int = 0
    is_ending: bool = False

    def number(self) -> int:
        """Return the next number of a request."""
        with self.lock:
            self.numbers += 1
            return self.numbers

    def note(self, action: Action, ids: list[str], called_s: float, *, is_known: bool) -> None:
        """Note an operation; `ids` are the reservations that its answer named as conflicts."""
        returned_s = time.monotonic() if is_known else float("inf")
        with self.lock:
            self.operations.append((action, ids, called_s, returned_s))

    def note_time(self, grant: int, generation: int, called_s: float, ttl_s: int) -> None:
        """Note that a grant may end from this time on."""
        if ttl_s == SHORT_TTL_S:
            with self.lock:
                self.expiries.append((called_s + ttl_s, Expire(grant, generation)))

    def history(self, grants: dict[str, int]) -> History:
        """Return the history, where `grants` tells which request led to which reservation."""
        made: History = [Operation(expire, at_s) for at_s, expire in self.expiries]
        for action, ids, called_s, returned_s in self.operations:
            conflicts = frozenset(grants.get(each, NOBODY) for each in ids)
            named = replace(action, conflicts=conflicts) if isinstance(action, Reserve | Check) else action
            made.append(Operation(named, called_s, returned_s))
        return made


@dataclass
class Client:
    """One agent."""

    name: str
    notes: Notes
    chance: random.Random
    http: httpx.Client
    mine: list[tuple[int, str]] = field(default_factory=list)

    def act(self) -> None:
        """Do one operation and note it. Raises: httpx.TransportError, after which it stands open in the notes."""
        choice = self.chance.random()
        if choice < 0.2:
            self._check(self.chance.choice(list(PATTERNS)))
        elif self.mine and choice < 0.35:
            self._renew(*self.chance.choice(self.mine))
        elif self.mine and choice < 0.7:
            self._release(*self.mine.pop(self.chance.randrange(len(self.mine))))
        else:
            self._reserve(self.chance.choice(list(PATTERNS)))

    def _reserve(self, pattern: str) -> None:
        number, ttl_s, called_s = self.notes.number(), self._ttl_s(), time.monotonic()
        body = {"project": self.notes.project, "agent_id": self.name, "path_pattern": pattern, "ttl_seconds": ttl_s}
        self.notes.note_time(number, number, called_s, ttl_s)
        made = partial(Reserve, number, self.name, pattern)
        try:
            answer = self.http.post(RESERVATIONS, json={**body, "reason": str(number)})
        except httpx.TransportError as error:
            self._note_lost(made(is_granted=None), called_s, error)
            raise
        if answer.status_code == 201:
            self.mine.append((number, answer.json()["id"]))
            self.notes.note(made(is_granted=True), [], called_s, is_known=True)
        elif answer.status_code == 409:
            ids = [each["reservation_id"] for each in answer.json()["conflicts"]]
            self.notes.note(made(is_granted=False), ids, called_s, is_known=True)
        else:
            self._note_fault(made(is_granted=None), called_s, answer)

    def _renew(self, grant: int, identity: str) -> None:
        number, ttl_s, called_s = self.notes.number(), self._ttl_s(), time.monotonic()
        self.notes.note_time(grant, number, called_s, ttl_s)
        try:
            answer = self.http.patch(f"{RESERVATIONS}/{identity}", json={"agent_id": self.name, "ttl_seconds": ttl_s})
        except httpx.TransportError as error:
            self._note_lost(Renew(number, grant, is_done=None), called_s, error)
            raise
        if answer.status_code in {200, 404}:
            self.notes.note(Renew(number, grant, answer.status_code == 200), [], called_s, is_known=True)
        else:
            self._note_fault(Renew(number, grant, is_done=None), called_s, answer)

    def _release(self, grant: int, identity: str) -> None:
        called_s = time.monotonic()
        try:
            answer = self.http.delete(f"{RESERVATIONS}/{identity}", headers={"X-Agent-ID": self.name})
        except httpx.TransportError as error:
            self._note_lost(Release(grant, is_done=None), called_s, error)
            raise
        if answer.status_code in {200, 404}:
            self.notes.note(Release(grant, answer.status_code == 200), [], called_s, is_known=True)
        else:
            self._note_fault(Release(grant, is_done=None), called_s, answer)

    def _check(self, pattern: str) -> None:
        called_s = time.monotonic()
        asked = {"project": self.notes.project, "pattern": pattern, "agent": self.name}
        answer = self.http.get(f"{RESERVATIONS}/check", params=asked)
        if answer.status_code == 200:
            ids = [each["reservation_id"] for each in answer.json()["conflicts"]]
            self.notes.note(Check(self.name, pattern, frozenset()), ids, called_s, is_known=True)
        else:
            self._refusal(answer)

    def _ttl_s(self) -> int:
        return SHORT_TTL_S if self.chance.random() < 0.2 else LONG_TTL_S

    def _note_lost(self, action: Action, called_s: float, error: httpx.TransportError) -> None:
        if not isinstance(error, httpx.ConnectError):  # Then nobody was there to be asked.
            self.notes.note(action, [], called_s, is_known=False)

    def _note_fault(self, action: Action, called_s: float, answer: httpx.Response) -> None:
        if self._refusal(answer) in UNKNOWN:
            self.notes.note(action, [], called_s, is_known=False)

    def _refusal(self, answer: httpx.Response) -> str:
        """Return the code of an answer that is neither yes nor no; fail if it is none that may come."""
        code = str(answer.json()["error"])
        assert code in NOT_APPLIED | UNKNOWN, f"{answer.status_code} {answer.text[:300]}"
        return code


def take_history(home: Path, seed: int, *, failpoints: str = "", kills: int = 0) -> Taken:
    """Let the clients work while the service dies or crashes where `failpoints` say, or is killed so often; then judge.

    A service that has died is started again, without failpoints.
    """
    chance = random.Random(seed)
    notes = Notes("acme")
    kills_at = sorted(chance.randrange(CLIENTS * OPERATIONS // 8, CLIENTS * OPERATIONS * 3 // 4) for _ in range(kills))
    server = _start(home, failpoints)
    url, port, deaths, crashes = server.url, server.port, 0, 0
    with ThreadPoolExecutor(CLIENTS) as threads:
        try:
            working = [
                threads.submit(_work, notes, f"agent{number}", random.Random(chance.random()), url)
                for number in range(CLIENTS)
            ]
            ends_s = time.monotonic() + 4 * PATIENCE_S
            while not all(each.done() for each in working) and time.monotonic() < ends_s:
                if kills_at and len(notes.operations) >= kills_at[0]:
                    kills_at.pop(0)
                    server.kill()
                if server.process.poll() is not None:
                    server.wait()
                    deaths, crashes = deaths + 1, crashes + len(server.events("actor.crashed"))
                    server = _start(home, "", port)
                time.sleep(POLL_S)
            for each in working:
                each.result(0)
            with server.client() as client:
                history = notes.history(_grants(client, notes.project))
        finally:
            notes.is_ending = True
            server.kill()
    crashes += len(server.events("actor.crashed"))
    return Taken(history, check(history, EMPTY, step), deaths, crashes)


def _start(home: Path, failpoints: str, port: int = 0) -> ServerProcess:
    server = ServerProcess(home, port=port, program=(PROGRAM,), changes={VARIABLE: failpoints})
    server.started()
    return server


def _work(notes: Notes, name: str, chance: random.Random, url: str) -> None:
    with httpx.Client(base_url=url, timeout=PATIENCE_S, trust_env=False, verify=False) as http:
        client = Client(name, notes, chance, http)
        done = 0
        while done < OPERATIONS and not notes.is_ending:
            try:
                client.act()
                done += 1
            except httpx.ConnectError:
                time.sleep(POLL_S)  # The server is being started again.
            except httpx.TransportError:
                done += 1


def _grants(client: httpx.Client, project: str) -> dict[str, int]:
    """Return which request led to which reservation, as the service remembers its reasons."""
    found: dict[str, int] = {}
    for number in range(CLIENTS):
        query = {"project": project, "agent": f"agent{number}", "limit": "1000"}
        listed: list[Json] = good(client.get(RESERVATIONS, params=query))["reservations"]
        found |= {each["id"]: int(each["reason"]) for each in listed}
    return found
