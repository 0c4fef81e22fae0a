"""What clients were told by a service that dies, and whether a later one still says so (guarantees.md G1, G5, G6)."""

import threading
from collections import defaultdict
from dataclasses import dataclass, field

import httpx
from calls import Json, events, good

PAGE = 1000


@dataclass
class Told:
    """What the clients of one project were told, over all lives of the service."""

    project: str = "acme"
    messages: dict[str, Json] = field(default_factory=dict)
    acked: set[str] = field(default_factory=set)
    granted: dict[str, Json] = field(default_factory=dict)
    maybe_released: set[str] = field(default_factory=set)
    released: set[str] = field(default_factory=set)
    titles: dict[str, set[str]] = field(default_factory=dict)
    """By id of an acknowledged spec: its last acknowledged title, and any that may have been stored since."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def cursors(self) -> list[int]:
        """Every cursor that anybody was told."""
        return [sent["cursor"] for sent in self.messages.values()] + [held["fence"] for held in self.granted.values()]

    @property
    def count(self) -> int:
        """How many changes were acknowledged."""
        return sum(map(len, (self.messages, self.acked, self.granted, self.released, self.titles)))


def whole_log(client: httpx.Client, project: str) -> list[Json]:
    """Return every event of the project."""
    log: list[Json] = []
    while page := events(client, project, log[-1]["cursor"] if log else 0):
        log += page
    return log


def check(client: httpx.Client, told: Told) -> list[Json]:
    """Compare what the service says now with what its clients were told before; return the log."""
    log = whole_log(client, told.project)
    cursors = [event["cursor"] for event in log]
    assert cursors == sorted(set(cursors)), "cursors grow and are never used twice"
    assert set(told.cursors) <= set(cursors), "every acknowledged change is in the log"
    _check_messages(client, told, log)
    _check_reservations(client, told)
    _check_holders(log)
    _check_entities(client, told)
    return log


def _check_messages(client: httpx.Client, told: Told, log: list[Json]) -> None:
    stored = {event["message_id"]: event["cursor"] for event in log if event["type"] == "message.created"}
    assert {name: sent["cursor"] for name, sent in told.messages.items()}.items() <= stored.items()
    acked: set[str] = set()
    received = 0
    while page := _inbox(client, told.project, received):
        assert all(message["body"].startswith(message["id"]) for message in page)
        acked |= {message["id"] for message in page if "ack_at" in message}
        for message in page:
            assert stored.pop(message["id"]) == message["cursor"]
        received = page[-1]["cursor"]
    assert stored == {}, "every logged message is in the inbox, once"
    assert told.acked <= acked, "every acknowledgement that was confirmed is there"


def _inbox(client: httpx.Client, project: str, since: int) -> list[Json]:
    query = {"project": project, "limit": str(PAGE), "since_cursor": str(since)}
    found: list[Json] = good(client.get("/api/inbox/reader", params=query))["messages"]
    return found


def _check_reservations(client: httpx.Client, told: Told) -> None:
    query = {"project": told.project, "limit": str(PAGE)}
    listed = good(client.get("/api/reservations", params=query))["reservations"]
    active = {held["id"]: held for held in listed}
    assert {identity for identity in told.granted if identity not in told.maybe_released} <= set(active), (
        "a grant stays"
    )
    assert not told.released & set(active), "what was released is not held"
    holders: dict[str, set[str]] = defaultdict(set)
    for held in active.values():
        holders[held["path_pattern"]].add(held["agent_id"])
    assert all(len(agents) == 1 for agents in holders.values()), f"held twice: {holders}"


def _check_holders(log: list[Json]) -> None:
    """Replay the log: at no moment do two agents hold one path."""
    holding: dict[str, dict[str, str]] = defaultdict(dict)
    for event in log:
        if event["type"] == "reservation.created":
            holding[event["path_pattern"]][event["reservation_id"]] = event["agent_id"]
            assert len(set(holding[event["path_pattern"]].values())) == 1, event
        elif event["type"].startswith("reservation."):
            del holding[event["path_pattern"]][event["reservation_id"]]


def _check_entities(client: httpx.Client, told: Told) -> None:
    for identity, titles in told.titles.items():
        found = good(client.get(f"/api/specs/{identity}", params={"project": told.project}))
        assert found["title"] in titles, f"a spec keeps its acknowledged title: {found['title']} of {titles}"
