"""kill -9 while clients send under keys: whoever sends again is answered as before, and everything is done once (G4)."""

import random
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
from calls import Json, events, good, head
from mutations import MUTATIONS
from server_process import PATIENCE_S, ServerProcess, until

REPEATED = "idempotency-replayed"
CYCLES = 5
WRITERS = 6
SEED = 20_260_724


@dataclass
class Writer:
    """One client, which sends under a key until it is answered, also to the next server, and then takes the next key."""

    name: str
    chance: random.Random
    answers: dict[str, bytes] = field(default_factory=dict)
    pending: str | None = None
    repeats: int = 0

    def write_until_the_end(self, server: ServerProcess) -> None:
        """Send new letters, and some old ones again, until the server is gone."""
        with server.client() as client:
            try:
                while True:
                    self._write_once(client)
            except httpx.TransportError:
                return

    def _write_once(self, client: httpx.Client) -> None:
        key = self.pending or f"{self.name}-{len(self.answers)}"
        self.pending = key
        answer = self.send(client, key)
        assert self.answers.setdefault(key, answer.content) == answer.content
        self.pending = None
        if self.chance.random() < 0.3:
            old = self.chance.choice(list(self.answers))
            again = self.send(client, old)
            assert (again.content, again.headers[REPEATED]) == (self.answers[old], "true")

    def send(self, client: httpx.Client, key: str) -> httpx.Response:
        """Send the letter of this key, which has no id of its own."""
        body = {"project": "acme", "from": self.name, "to": ["reader"], "subject": key}
        answer = client.post("/api/messages", json=body, headers={"Idempotency-Key": key})
        good(answer)
        self.repeats += REPEATED in answer.headers
        return answer


def have_letters(writers: list[Writer], count: int, calls: list["Future[None]"]) -> bool:
    """Tell whether that many letters were answered; fail where a writer has."""
    for call in calls:
        if call.done():
            call.result()
    return sum(len(each.answers) for each in writers) >= count


def subjects(client: httpx.Client) -> list[str]:
    """Return the subjects of all letters."""
    found: list[Json] = []
    while page := events(client, "acme", found[-1]["cursor"] if found else 0):
        found += page
    received = 0
    letters: list[str] = []
    while True:
        asked = {"project": "acme", "limit": "1000", "since_cursor": str(received)}
        page = good(client.get("/api/inbox/reader", params=asked))["messages"]
        if not page:
            break
        letters += [each["subject"] for each in page]
        received = page[-1]["cursor"]
    assert len(found) == len(letters), "one event for each letter"
    return letters


def test_kill_makes_no_request_happen_twice(tmp_path: Path) -> None:
    """Five times: write from six clients, kill -9; then the letters are those of the keys, each once, and all are answered."""
    writers = [Writer(f"w{number}", random.Random(SEED + number)) for number in range(WRITERS)]
    for cycle in range(CYCLES):
        with ServerProcess(tmp_path) as server, ThreadPoolExecutor(WRITERS) as threads:
            calls = [threads.submit(each.write_until_the_end, server) for each in writers]
            try:
                until(partial(have_letters, writers, (cycle + 1) * 150, calls), "enough letters")
            finally:
                server.kill()
            for call in calls:
                call.result(PATIENCE_S)

    with ServerProcess(tmp_path) as server, server.client() as client:
        for writer in writers:
            for key in [*writer.answers, *filter(None, [writer.pending])]:
                content = writer.send(client, key).content
                assert writer.answers.setdefault(key, content) == content
        assert sorted(subjects(client)) == sorted(key for writer in writers for key in writer.answers)
    assert sum(writer.repeats for writer in writers) > 100


def test_two_servers_after_each_other_answer_two_clients_alike(tmp_path: Path) -> None:
    """Many clients with one key at the same time, before and after kill -9: one letter, and one answer for all."""
    writer = Writer("w", random.Random(SEED))

    def everybody(server: ServerProcess) -> list[httpx.Response]:
        start = threading.Barrier(WRITERS)

        def one() -> httpx.Response:
            with server.client() as client:
                client.get("/health")
                start.wait(PATIENCE_S)
                return writer.send(client, "key")

        with ThreadPoolExecutor(WRITERS) as threads:
            return [call.result(PATIENCE_S) for call in [threads.submit(one) for _ in range(WRITERS)]]

    with ServerProcess(tmp_path) as server:
        before = everybody(server)
        server.kill()
    with ServerProcess(tmp_path) as server, server.client() as client:
        after = everybody(server)
        assert subjects(client) == ["key"]

    assert len({each.content for each in [*before, *after]}) == 1
    assert [sum(REPEATED in each.headers for each in some) for some in (before, after)] == [WRITERS - 1, WRITERS]


def test_every_operation_is_still_answered_as_before_after_kill(tmp_path: Path) -> None:
    """kill -9, another process on the same file: the same bytes again, and no event more."""
    with ServerProcess(tmp_path) as server, server.client() as client:
        sent = {}
        for number, (operation, scene) in enumerate(MUTATIONS.items()):
            request = scene(client, f"p{number}")
            sent[operation] = request, request.send(client, "key")
        server.kill()

    with ServerProcess(tmp_path) as server, server.client() as client:
        for number, (operation, (request, first)) in enumerate(sent.items()):
            before = head(client, f"p{number}")
            again = request.send(client, "key")
            told = again.status_code, again.content, again.headers.get(REPEATED), head(client, f"p{number}")
            assert told == (first.status_code, first.content, "true", before), operation
