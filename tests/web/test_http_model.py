"""The interface against the plain models, over the HTTP layer: whatever is asked in whatever order, every answer is the model's.

The models are those of the handlers (`plain_model.py`, `entity_model.py`). What HTTP adds is here: statuses, codes, and
requests that are sent again under their key. Actors crash, and the project is closed and opened again, at any moment.
Source: guarantees.md 2, "all".
"""

import json
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import trio
from entity_model import Call, compared
from entity_model import Model as Entities
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from plain_model import MESSAGE_IDS, NAMES, PATTERNS, Lease, Model
from tenants import Reply, Town, town
from test_entity_machine import at_version, calls
from trio.testing import MockClock

from intermute.core.entities.definition import Kind
from intermute.core.entities.kinds import OF_KIND
from intermute.core.ids import ProjectName

PROJECT: Final = "model"
KINDS: Final = [Kind.SPEC, Kind.EPIC, Kind.STORY]
_METHODS: Final = {"create": "POST", "replace": "PUT", "change": "PATCH", "delete": "DELETE"}

Step = tuple[Any, ...]
"""What is done, and with what (Any: each step has its own)."""
_names, _keys = st.sampled_from(NAMES), st.sampled_from(["", "", "k1", "k2", "k3"])
_wanted = st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2)
_to = st.lists(_names, min_size=1, max_size=2)
STEPS: Final[st.SearchStrategy[list[Step]]] = st.lists(
    st.one_of(
        st.tuples(st.just("register"), _names),
        st.tuples(st.just("reserve"), _names, _wanted, st.booleans(), _keys),
        st.tuples(st.just("release"), st.integers(0, 5), _keys),
        st.tuples(st.just("send"), _names, _to, st.sampled_from(MESSAGE_IDS), st.sampled_from("xy"), _keys),
        st.tuples(st.just("mark"), _names, st.sampled_from(MESSAGE_IDS), st.booleans(), _keys),
        st.tuples(st.just("entity"), calls(KINDS).filter(lambda call: call.which in _METHODS)),
        st.tuples(st.just("crash"), st.booleans()),
    ),
    min_size=8,
    max_size=25,
)


class Api:
    """One project over HTTP and its models; each step compares the answer."""

    def __init__(self, place: Town) -> None:
        self.place, self.model, self.entities = place, Model(), Entities()
        self.held: list[str] = []
        """The reservations that were ever granted."""

    async def call(self, method: str, path: str, body: object = None, *query: tuple[str, str]) -> Reply:
        """Ask without a key."""
        where = (("project", PROJECT), *query) if body is None else ()
        sent = None if body is None else {"project": PROJECT, **body}  # type: ignore[dict-item] # always a dict.
        return await self.place.call({}, method, path, where, sent)

    async def once(self, key: str, method: str, path: str, body: object = None) -> Reply | None:
        """Ask with a key, if it is one; None where the key decides the answer, which then was the one that it must be."""
        content = (method, path, body)
        headers = {"Idempotency-Key": key} if key else {}
        where = (("project", PROJECT),) if body is None else ()
        sent = None if body is None else {"project": PROJECT, **body}  # type: ignore[dict-item] # always a dict.
        reply = await self.place.call(headers, method, path, where, sent)
        known = self.model.replies.get(key)
        if known is None:
            if key and reply.status < 300:
                self.model.replies[key] = (content, reply.body)
            return reply
        if known[0] != content:
            assert (reply.status, reply.code) == (422, "idempotency_key_mismatch"), reply
        else:
            assert ("idempotency-replayed", "true") in reply.headers
            assert reply.body == known[1]
        return None

    async def register(self, name: str) -> None:
        """Register an agent, or renew it."""
        session = f"0d6a3c5e-1a8b-4a0e-8a55-00000000000{NAMES.index(name)}"
        reply = await self.call("POST", "/api/agents", {"name": name, "session_id": session})
        assert reply.status == 200
        assert json.loads(reply.body).get("renewed", False) == (name in self.model.heard_s)
        self.model.heard_s[name] = 0.0

    async def reserve(self, name: str, wanted: list[str], is_shared: bool, key: str) -> None:
        """Ask for patterns; granted exactly where the model finds nothing in the way."""
        body = {"agent_id": name, "patterns": wanted, "shared": is_shared}
        reply = await self.once(key, "POST", "/api/reservations", body)
        if reply is None:
            return
        found = json.loads(reply.body)
        expected = self.model.in_the_way(wanted, name, is_shared=is_shared)
        if expected:
            assert (reply.status, reply.code) == (409, "reservation_conflict")
            assert {each["reservation_id"] for each in found["conflicts"]} == expected
            return
        assert reply.status == 201, reply
        self.model.leases.append(Lease(found["id"], name, tuple(wanted), is_shared, found["fence"], 0.0))
        self.model.fences.append(found["fence"])
        self.held.append(found["id"])

    async def release(self, number: int, key: str) -> None:
        """Give back something that was once held."""
        if not self.held:
            return
        lease_id = self.held[number % len(self.held)]
        reply = await self.once(key, "DELETE", f"/api/reservations/{lease_id}")
        if reply is None:
            return
        if lease_id in self.model.ended:
            assert (reply.status, reply.code) == (404, "reservation_ended")
            return
        assert json.loads(reply.body)["released"] == [lease_id]
        [lease] = [each for each in self.model.leases if each.id == lease_id]
        self.model.end(lease, "released")

    async def send(self, sender: str, to: list[str], message_id: str, body: str, key: str) -> None:
        """Send, repeat, update, or take another's id."""
        known = self.model.letter(message_id)
        fields = {"from": sender, "to": to, "id": message_id, "body": body, "thread_id": "t"}
        reply = await self.once(key, "POST", "/api/messages", fields)
        if reply is None:
            return
        found = json.loads(reply.body)
        match self.model.send(sender, tuple(to), message_id, body, found.get("cursor", 0)):
            case "message_id_taken":
                assert (reply.status, reply.code) == (409, "message_id_taken")
            case "repeated":
                assert known is not None
                assert (reply.status, found["replayed"], found["cursor"]) == (200, True, known.first_cursor)
            case heard:
                assert (reply.status, found.get("updated", False)) == (200, heard == "updated")

    async def mark(self, name: str, message_id: str, is_ack: bool, key: str) -> None:
        """Read or acknowledge."""
        path = f"/api/messages/{message_id}/{'ack' if is_ack else 'read'}"
        reply = await self.once(key, "POST", path, {"agent": name})
        if reply is None:
            return
        expected = self.model.mark(name, message_id, is_ack=is_ack)
        if isinstance(expected, str):
            assert (reply.status, reply.code) == (404 if expected == "unknown_message" else 403, expected)
            return
        found = json.loads(reply.body)
        assert (found.get("read_at") is not None, found.get("ack_at") is not None) == expected

    async def entity(self, drawn: Call) -> None:
        """Create, replace, change or delete an entity."""
        call = at_version(drawn, self.entities)
        path = f"/api/{OF_KIND[call.kind].plural}" + ("" if call.which == "create" else f"/{call.id}")
        version = {} if call.version is None else {"version": call.version}
        is_silent = call.fields.get("cascade") == "orphan"  # Which it is without a word, and then says nothing.
        if call.which == "delete":
            reply = await self.call("DELETE", path, None, *(() if is_silent else [("cascade", "refuse")]))
        else:
            new = {"id": call.id} if call.which == "create" else {}
            reply = await self.call(_METHODS[call.which], path, {**new, **version, **call.fields})
        self.entities.begin()
        expected = self.entities.apply(call)
        if isinstance(expected, str):
            assert reply.code == expected, (call, reply)
        elif call.which == "delete":
            orphans = expected["orphaned"]
            if is_silent:
                count = next((int(value) for name, value in reply.headers if name == "x-orphaned"), 0)
                assert (reply.status, count) == (204, len(orphans)), (call, reply)
            else:
                found = json.loads(reply.body)
                told = sorted((each["kind"], each["id"], each["field"]) for each in found["orphaned"])
                assert (reply.status, found["deleted"], told) == (200, expected["deleted"], orphans), call
        else:
            assert reply.status == (201 if call.which == "create" else 200), (call, reply)
            assert compared(OF_KIND[call.kind], json.loads(reply.body)) == compared(OF_KIND[call.kind], expected)

    async def crash(self, is_crash: bool) -> None:
        """End the actor's run, or close the project; either way everything is read from the disk again."""
        project = self.place.service.registry.find_open(ProjectName(PROJECT))
        if project is None:
            return
        if is_crash:
            await self.place.service.supervisor.restart(f"project:{PROJECT}")
        else:
            await self.place.service.registry.close(project)

    async def everything_is_the_models(self) -> None:
        """What all the lists say is what the model says."""
        listed = json.loads((await self.call("GET", "/api/reservations", None, ("active", "true"))).body)
        assert {each["id"] for each in listed["reservations"]} == {lease.id for lease in self.model.leases}
        assert self.model.fences == sorted(set(self.model.fences))
        for name in NAMES:
            mine = sorted((each for each in self.model.letters if name in each.inboxes), key=lambda each: each.cursor)
            page = json.loads((await self.call("GET", f"/api/inbox/{name}")).body)["messages"]
            assert [(each["id"], each["body"], each["cursor"]) for each in page] == [
                (m.id, m.body, m.cursor) for m in mine
            ]
            marks = [(each.get("read_at") is not None, each.get("ack_at") is not None) for each in page]
            assert marks == [each.inboxes[name] for each in mine]
            counts = json.loads((await self.call("GET", f"/api/inbox/{name}/counts")).body)
            assert counts["unread"] == sum(not each.inboxes[name][0] for each in mine)
            taking_part = sum(name == each.sender or name in each.inboxes for each in self.model.letters)
            threads = json.loads((await self.call("GET", "/api/threads", None, ("agent", name))).body)["threads"]
            assert [each["message_count"] for each in threads] == ([taking_part] if taking_part else [])
        for kind in KINDS:
            for entity_id in ("a", "b", "c"):
                reply = await self.call("GET", f"/api/{OF_KIND[kind].plural}/{entity_id}")
                expected = self.entities.held.get((kind, entity_id))
                if expected is None:
                    assert (reply.status, reply.code) == (404, "unknown_entity")
                else:
                    assert compared(OF_KIND[kind], json.loads(reply.body)) == compared(OF_KIND[kind], expected)


async def live(steps: Sequence[Step], api_type: type[Api] = Api) -> None:
    """Live through the steps in a service of its own."""
    with tempfile.TemporaryDirectory() as home:
        async with town(Path(home)) as place:
            api = api_type(place)
            for which, *drawn in steps:
                await getattr(api, which)(*drawn)
            await api.everything_is_the_models()


LIVES: Final = settings(
    max_examples=50, phases=[Phase.generate], derandomize=True, database=None, deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip


@given(STEPS)
@LIVES
def test_interface_behaves_as_the_model(steps: list[Step]) -> None:
    """Sixty lives of a project of up to 25 steps each."""
    trio.run(partial(live, steps), clock=MockClock(autojump_threshold=0))


class _WithoutKeys(Api):
    """Drops the keys on their way, as a service without them would."""

    async def once(self, key: str, method: str, path: str, body: object = None) -> Reply | None:
        real, self.place.call = self.place.call, partial(_keyless, self.place.call)  # type: ignore[method-assign]
        try:
            return await super().once(key, method, path, body)
        finally:
            self.place.call = real  # type: ignore[method-assign]


async def _keyless(call: Any, _headers: object, *arguments: Any) -> Reply:  # Any: as `Town.call` takes them.
    reply = await call({}, *arguments)
    assert isinstance(reply, Reply)
    return reply


def test_interface_that_forgets_keys_is_found() -> None:
    """Control: where keys mean nothing, the answers are not the model's."""

    @given(STEPS)
    @LIVES
    def forgetful(steps: list[Step]) -> None:
        trio.run(partial(live, steps, _WithoutKeys), clock=MockClock(autojump_threshold=0))

    with pytest.raises(BaseExceptionGroup) as found:
        forgetful()
    assert found.value.split(AssertionError)[1] is None
