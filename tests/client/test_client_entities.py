"""Entities: an update overwrites nobody's, and every kind is made, read, listed, changed and deleted alike."""

from typing import Any

import pytest
import trio

from intermute.client import Client
from intermute.client.entities import UPDATE_ATTEMPTS_MAX
from intermute.core.errors import StaleVersion, UnknownEntity
from intermute.embedded import Server

WRITERS = 8


async def test_concurrent_updates_all_count(hosted: Server, project: str) -> None:
    """Eight that add to one task at the same time lose nothing: each one's change is computed from the one before."""
    async with Client(hosted.url, project=project) as client, trio.open_nursery() as nursery:
        task = await client.tasks.create(title="count")

        async def add(number: int) -> None:
            await client.tasks.update(task.id, lambda now: {"capabilities": [*now.capabilities, str(number)]})

        for number in range(WRITERS):
            nursery.start_soon(add, number)
        nursery.cancel_scope.deadline = trio.current_time() + 30

    async with Client(hosted.url, project=project) as client:
        assert sorted((await client.tasks.get(task.id)).capabilities) == sorted(map(str, range(WRITERS)))


async def test_concurrent_changes_without_versions_lose_some(hosted: Server, project: str) -> None:
    """Control: reading and writing without the version loses all but the last word."""
    async with Client(hosted.url, project=project) as client:
        task = await client.tasks.create(title="count")
        read = [await client.tasks.get(task.id) for _ in range(2)]
        for number, now in enumerate(read):
            await client.tasks.change(task.id, capabilities=[*now.capabilities, str(number)])

        assert (await client.tasks.get(task.id)).capabilities == ["1"]


async def test_update_that_always_loses_is_told(hosted: Server, project: str) -> None:
    """Whoever loses every race hears of it, after a bounded number of them."""
    async with Client(hosted.url, project=project) as client:
        task = await client.tasks.create(title="busy")
        calls = 0

        def race(_now: Any) -> dict[str, Any]:  # Any: a task.
            nonlocal calls
            calls += 1
            return {"title": "mine", "version": 999}

        with pytest.raises(StaleVersion) as refused:
            await _losing(client).update(task.id, race)

    assert calls == UPDATE_ATTEMPTS_MAX
    assert refused.value.details["version"] == 1


def _losing(client: Client) -> Any:  # Any: entities that always send an old version.
    kind = type(client.tasks)

    class Losing(kind):  # type: ignore[misc, valid-type] # the kind is known at run time alone.
        async def change(self, entity_id: str, **fields: Any) -> Any:
            return await super().change(entity_id, **{**fields, "version": fields["version"] + 7})

    return Losing(client.tasks._calls, client.tasks.types.entity.kind)


async def test_update_without_a_change_writes_nothing(hosted: Server, project: str) -> None:
    """A change that finds everything as it should be leaves the version where it is."""
    async with Client(hosted.url, project=project) as client:
        task = await client.tasks.create(title="fine")

        assert (await client.tasks.update(task.id, lambda _now: None)).version == 1


@pytest.mark.parametrize("kind", ["specs", "epics", "stories", "tasks", "insights", "sessions", "journeys"])
async def test_every_kind_has_the_whole_round(hosted: Server, project: str, kind: str) -> None:
    """Made, read, listed over several pages, updated and deleted, whatever the kind."""
    async with Client(hosted.url, project=project) as client:
        entities = getattr(client, kind)
        named = "name" if kind == "sessions" else "title"
        made = [await entities.create(**{named: f"number {number}"}) for number in range(5)]

        assert await entities.get(made[0].id) == made[0]
        assert {each.id async for each in entities.every(limit=2)} == {each.id for each in made}
        changed = await entities.update(made[0].id, lambda _now: {named: "other"})
        assert getattr(changed, named) == "other"
        await entities.delete(made[0].id)
        with pytest.raises(UnknownEntity):
            await entities.get(made[0].id)


async def test_deleting_tells_who_referred_to_it(hosted: Server, project: str) -> None:
    """What a reply without a body says of orphans is read from its headers; a cascade tells it in the body."""
    async with Client(hosted.url, project=project) as client:
        for spec in ("a/b c", "plain"):
            await client.specs.create(id=spec, title="a spec")
            await client.epics.create(id=f"of {spec}", title="an epic", spec_id=spec)

        gone = await client.specs.delete("a/b c")
        told = await client.specs.delete("plain", cascade="orphan")

    assert (gone.orphaned_count, [(each.kind, each.id) for each in gone.orphaned]) == (1, [("epic", "of a/b c")])
    assert [(each.kind, each.id) for each in told.orphaned] == [("epic", "of plain")]


async def test_claimed_task_reserves_what_it_needs(hosted: Server, project: str) -> None:
    """Claiming, giving back and the tree of a spec come in their own types."""
    async with Client(hosted.url, project=project, agent_name="anna") as client:
        spec = await client.specs.create(title="spec")
        task = await client.tasks.create(title="task")
        claimed = await client.tasks.claim(task.id, "src/**")
        released = await client.tasks.release(task.id)
        following = await client.tasks.next()
        tree = await client.specs.tree(spec.id)

    assert claimed.reservation.patterns == ["src/**"]
    assert (released.released, following.id) == (True, task.id)
    assert tree.spec.id == spec.id
