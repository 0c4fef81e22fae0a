"""What agents do all day, as scripts: edit files, say that they are alive, take tasks. Mail is in `correspondence`."""

import random
from collections.abc import Mapping
from typing import Final

from loadtest.engine.connection import LoadFailed
from loadtest.scenarios.desk import Ask, Pause, Script, until_answered
from loadtest.scenarios.listing import content_of
from loadtest.scenarios.office import Office, Person

TRIES_ANYWAY: Final = 0.3  # of those who hear that a file is held and ask for it all the same. A guess.
RENEWS: Final = 0.1  # of edits that take long enough for the agent to ask for more time half-way. A guess.
EDITED_AT_ONCE: Final = 3  # files of one agent; who has as many only looks at others.
MADE_WHEN_NONE: Final = 4  # tasks that somebody makes who found none, as whoever hands out work does.


class Habits:
    """The scripts of one connection's agents. Pauses are as many seconds as the day's, divided by `speed`."""

    def __init__(self, office: Office, people: list[Person], chance: random.Random, speed: float) -> None:
        self._office, self._people, self._chance, self._speed = office, people, chance, speed

    def _pause(self, mean_s: float) -> Pause:
        return Pause(self._chance.expovariate(1 / mean_s) / self._speed if mean_s else 0.0)

    def _someone(self) -> Person:
        return self._chance.choice(self._people)

    def _ask(self, operation: str, method: str, target: str, fields: Mapping[str, object] | None = None) -> Ask:
        """Return a request; a project is named in the body, or in the query where there is none."""
        project = self._office.project
        if fields is None:
            return Ask(operation, self._office.site.request(method, f"{target}?project={project}"))
        return Ask(operation, self._office.site.request(method, target, {"project": project, **fields}))

    def heartbeat(self) -> Script:
        """Say that one is alive."""
        told = yield self._ask("heartbeat", "POST", f"/api/agents/{self._someone().id}/heartbeat", {})
        if told.answer is not None:
            told.answer.demand(200)

    def session(self) -> Script:
        """Come back after the terminal was closed: register under the same session."""
        person = self._someone()
        fields = {"name": person.name, "session_id": person.session}
        told = yield self._ask("register", "POST", "/api/agents", fields)
        if told.answer is not None and told.answer.demand(200).json()["agent_id"] != person.id:
            raise LoadFailed(f"{person.name} came back and was taken for another: {told.answer.body[:500]!r}")

    def edit(self, mean_s: float) -> Script:
        """Check a file, reserve it, edit it for some time, release it; or be refused, or go elsewhere."""
        person, path = self._someone(), self._office.path(self._chance)
        check = self._ask("check", "POST", "/api/reservations/check", {"agent_id": person.id, "path": path})
        is_busy = path in person.editing or len(person.editing) >= EDITED_AT_ONCE
        told = yield check
        if told.answer is None:
            return
        is_held = told.answer.demand(200).json()["conflict"]
        self._office.checks += 1
        self._office.found_held += is_held
        if is_busy or path in person.editing or (is_held and self._chance.random() >= TRIES_ANYWAY):
            return
        person.editing.add(path)
        yield from self._reserve(person, path, mean_s)
        person.editing.discard(path)

    def _reserve(self, person: Person, path: str, mean_s: float) -> Script:
        office = self._office
        fields = {"agent_id": person.id, "path": path, "reason": "load test"}
        told = yield self._ask("reserve", "POST", "/api/reservations", fields)
        if told.answer is None:
            office.kept.unknown(told.answered_s, person.name, content_of(path, person.id))
            return
        if told.answer.demand(201, 409).status == 409:
            holders = {found["agent_id"] for found in told.answer.json()["conflicts"]}
            if not holders or person.id in holders:
                raise LoadFailed(f"{person.name} was refused {path} because of {holders}")
            return
        reservation = str(told.answer.json()["id"])
        office.kept.acknowledged(told.answered_s, person.name, reservation, content_of(path, person.id))
        office.holders.granted(told.answered_s, person.name, reservation, [path])
        yield self._pause(mean_s)
        if self._chance.random() < RENEWS:
            target = f"/api/reservations/{reservation}"
            more_time: dict[str, object] = {"agent_id": person.id, "ttl_minutes": 30}
            answer, _, _ = yield from until_answered(self._ask("renew", "PATCH", target, more_time))
            answer.demand(200)
            yield self._pause(mean_s)
        yield from self._release(person, path, reservation)

    def _release(self, person: Person, path: str, reservation: str) -> Script:
        office, site = self._office, self._office.site
        at_s = site.now_s()
        office.holders.releasing(at_s, person.name, reservation, [path])
        office.kept.ending(at_s, person.name, reservation)
        target = f"/api/reservations/{reservation}?project={office.project}"
        wanted = site.request("DELETE", target, headers={"X-Agent-ID": person.id})
        answer, told, is_again = yield from until_answered(Ask("release", wanted))
        answer.demand(200, *((404,) if is_again else ()))
        office.kept.ended(told.answered_s, person.name, reservation)

    def task(self, mean_s: float) -> Script:
        """Take the next task, work on it, finish it; who finds none makes some."""
        person, claims = self._someone(), self._office.claims
        told = yield self._ask("next task", "POST", "/api/tasks/next", {"agent": person.id})
        if told.answer is None:
            claims.unknown(told.answered_s, person.id)
            return
        if told.answer.demand(200, 404, 429).status == 404:
            yield from self._make_tasks(person)
        if told.answer.status != 200:
            return
        found = told.answer.json()
        claims.claimed(told.answered_s, person.id, found["id"], found["agent"])
        yield self._pause(mean_s)
        claims.finishing(self._office.site.now_s(), person.id, found["id"])
        done = self._ask("finish task", "PATCH", f"/api/tasks/{found['id']}", {"status": "done"})
        answer, told, _ = yield from until_answered(done)
        answer.demand(200)
        claims.finished(told.answered_s, person.id, found["id"])

    def _make_tasks(self, person: Person) -> Script:
        for number in range(MADE_WHEN_NONE):
            fields = {"title": f"work for {person.name}, {number}"}
            told = yield self._ask("make task", "POST", "/api/tasks", fields)
            if told.answer is not None:
                self._office.claims.made(told.answer.demand(201).json()["id"])
