"""All seven kinds of entities, at the handlers: one suite, from the definitions (issue 4; contract.md 1.9 and 9)."""

from typing import Any

import pytest
from entity_samples import command, defaults, example_ids, sample, shown, smallest, whole
from handler_bench import LOCAL, Bench

from intermute.core.entities.definition import Entity, FieldType
from intermute.core.entities.kinds import ENTITIES
from intermute.core.errors import DuplicateId, InvalidRequest, StaleVersion, UnknownEntity
from intermute.core.times import rfc3339

every_kind = pytest.mark.parametrize("entity", ENTITIES, ids=example_ids())
ZERO = "0001-01-01T00:00:00Z"


@pytest.fixture
def bench() -> Bench:
    """A project of its own."""
    return Bench()


def create(bench: Bench, entity: Entity, **fields: Any) -> dict[str, Any]:
    """Make an entity and return it as a client sees it."""
    return shown(bench.run(command(entity, "create", **{**smallest(entity), **fields})))


def read(bench: Bench, entity: Entity, entity_id: str) -> dict[str, Any]:
    """Read an entity."""
    return shown(bench.ask(command(entity, "get", id=entity_id)))


def listed(bench: Bench, entity: Entity, **asked: Any) -> list[str]:
    """Return the ids of a list."""
    return [each["id"] for each in shown(bench.ask(command(entity, "listing", **asked)))["entities"]]


def times(entity: Entity) -> set[str]:
    """Return the fields that hold times."""
    return {field.name for field in entity.contents if field.type is FieldType.TIME}


@every_kind
def test_new_entity_has_its_defaults(bench: Bench, entity: Entity) -> None:
    """The least that can be said makes an entity with an id, version 1, the defaults, and the time of now."""
    made = create(bench, entity)

    assert made == {
        **defaults(entity), **smallest(entity), "id": made["id"], "project": "demo", "version": 1,
        **{name: rfc3339(bench.wall_us) for name in times(entity) if entity.by_name[name].is_settable},
    }  # fmt: skip
    assert read(bench, entity, made["id"]) == made


@every_kind
def test_new_entity_keeps_all_that_it_is_given(bench: Bench, entity: Entity) -> None:
    """Every field comes back as it was sent, in the order of the definition."""
    made = create(bench, entity, id="given/id", **whole(entity))

    found = read(bench, entity, "given/id")
    assert {name: found[name] for name in whole(entity)} == whole(entity)
    kept = [field.name for field in entity.fields if field.name in found]
    assert list(found) == kept
    assert {**found, "warnings": made.get("warnings")} == {**made, "warnings": made.get("warnings")}


@every_kind
def test_zero_time_counts_as_absent_and_others_are_kept(bench: Bench, entity: Entity) -> None:
    """The original's client always sends its times; zero is now, any other is taken, in any zone."""
    settable = [name for name in times(entity) if entity.by_name[name].is_settable]

    zero = create(bench, entity, **dict.fromkeys(settable, ZERO))
    made_at = rfc3339(bench.wall_us)
    given = create(bench, entity, **dict.fromkeys(settable, "2026-01-02T05:04:05.5+02:00"))

    assert {zero[name] for name in settable} == {made_at}
    assert {given[name] for name in settable} == {"2026-01-02T03:04:05.5Z"}


@every_kind
@pytest.mark.parametrize("time", ["1969-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00"])
def test_time_out_of_range_is_refused_by_name(bench: Bench, entity: Entity, time: str) -> None:
    """A time that could not be printed again is a 400, and nothing is stored."""
    name = sorted(name for name in times(entity) if entity.by_name[name].is_settable)[0]

    with pytest.raises(InvalidRequest, match=name):
        create(bench, entity, **{name: time})

    assert bench.events() == []


@every_kind
def test_duplicate_id_is_refused(bench: Bench, entity: Entity) -> None:
    """The second of two with one id is refused, in one batch and later, and the first stays."""
    first, second = (command(entity, "create", **{**whole(entity, mark), "id": "x"}) for mark in "ab")

    outcomes = bench.batch((first, LOCAL), (second, LOCAL))

    assert isinstance(outcomes[1], DuplicateId)
    with pytest.raises(DuplicateId):
        bench.run(second)
    assert read(bench, entity, "x")["version"] == 1
    assert len(bench.events()) == 1


@every_kind
def test_replace_empties_what_it_leaves_out(bench: Bench, entity: Entity) -> None:
    """A full replace: only what the original does not know stays, and the time of making is never changed."""
    made = create(bench, entity, id="x", **whole(entity))
    bench.wait(5)

    replaced = shown(bench.run(command(entity, "replace", id="x", version=1, **smallest(entity), created_at=ZERO)))

    assert replaced["version"] == 2
    for field in entity.contents:
        if (field.is_ours and field.is_settable) or field.name in ("created_at", "started_at"):
            assert replaced[field.name] == made[field.name]
        elif field.name == "updated_at":
            assert replaced[field.name] == rfc3339(bench.wall_us)
        elif not field.is_required and field.is_left_out_empty:
            assert field.name not in replaced
        elif not field.is_required:
            assert replaced[field.name] == field.empty
    assert read(bench, entity, "x") == {name: value for name, value in replaced.items() if name != "warnings"}


@every_kind
def test_merge_keeps_what_it_leaves_out(bench: Bench, entity: Entity) -> None:
    """A merge changes what it names; an empty text or list empties its field."""
    made = create(bench, entity, id="x", **whole(entity))
    fields = [each for each in entity.contents if each.is_settable and each.type is not FieldType.TIME]
    bench.wait(5)

    for field in fields:
        bench.run(command(entity, "change", id="x", **{field.name: sample(field, "bb")}))
    changed = read(bench, entity, "x")

    assert {name: changed[name] for name in whole(entity)} == whole(entity, "bb")
    assert changed["version"] == 1 + len(fields)
    assert {name: changed[name] for name in ("created_at", "started_at") if name in changed} == {
        name: made[name] for name in ("created_at", "started_at") if name in made
    }
    emptied = [each for each in fields if each.is_left_out_empty]
    bench.run(
        command(
            entity, "change", id="x", **{each.name: list(each.empty) if each.empty == () else "" for each in emptied}
        )
    )
    assert not {each.name for each in emptied} & set(read(bench, entity, "x"))


@every_kind
def test_stale_version_is_refused_with_the_current_one(bench: Bench, entity: Entity) -> None:
    """Replacing and merging with an old version change nothing, and tell what is there now."""
    create(bench, entity, id="x")
    bench.run(command(entity, "change", id="x", version=1, **whole(entity, "b")))
    count = len(bench.events())

    for which in ("replace", "change"):
        with pytest.raises(StaleVersion) as refused:
            bench.run(command(entity, which, id="x", version=1, **smallest(entity)))
        assert refused.value.details["version"] == 2
        assert shown(refused.value.details["current"]) == read(bench, entity, "x")

    assert len(bench.events()) == count


@every_kind
def test_missing_version_is_stale_where_the_original_locks(bench: Bench, entity: Entity) -> None:
    """Absent or 0 is a conflict for a full replace, but of insights and sessions; a merge needs none."""
    create(bench, entity, id="x")
    for version in ({}, {"version": 0}):
        replace = command(entity, "replace", id="x", **smallest(entity), **version)
        if entity.has_lock:
            with pytest.raises(StaleVersion):
                bench.run(replace)
        else:
            bench.run(replace)

    bench.run(command(entity, "change", id="x"))


@every_kind
def test_two_replaces_of_one_version_in_one_batch(bench: Bench, entity: Entity) -> None:
    """Of two that replace the same version in one commit the first wins."""
    create(bench, entity, id="x")
    both = [(command(entity, "replace", id="x", version=1, **whole(entity, mark)), LOCAL) for mark in ("b", "cc")]

    outcomes = bench.batch(*both)

    assert isinstance(outcomes[1], StaleVersion)
    assert read(bench, entity, "x")["version"] == 2
    required = next(field for field in entity.contents if field.is_required)
    assert read(bench, entity, "x")[required.name] == sample(required, "b")


@every_kind
@pytest.mark.parametrize("which", ["get", "replace", "change"])
def test_unknown_entity_is_refused(bench: Bench, entity: Entity, which: str) -> None:
    """Reading and changing what is not there is refused, and no event says otherwise."""
    with pytest.raises(UnknownEntity):
        (bench.ask if which == "get" else bench.run)(command(entity, which, id="nothing"))

    assert bench.events() == []


@every_kind
def test_deleted_entity_is_gone_and_told_of_once(bench: Bench, entity: Entity) -> None:
    """A delete is stored and announced; a delete of nothing answers the same and tells nothing."""
    create(bench, entity, id="x")

    first = shown(bench.run(command(entity, "delete", id="x")))
    second = shown(bench.run(command(entity, "delete", id="x")))

    assert first == second == {}
    assert listed(bench, entity) == []
    with pytest.raises(UnknownEntity):
        read(bench, entity, "x")
    assert [event.type for event in bench.events()] == [entity.created, entity.deleted]
    assert bench.events()[1].data == {"entity_id": "x", "data": None}
    create(bench, entity, id="x")  # The id is free again.


@every_kind
def test_every_change_is_an_event_with_the_entity(bench: Bench, entity: Entity) -> None:
    """Created and updated tell the whole entity as it was read then."""
    create(bench, entity, id="x", **whole(entity))
    first = read(bench, entity, "x")
    bench.run(command(entity, "change", id="x", **smallest(entity)))
    second = read(bench, entity, "x")

    assert [(event.type, event.data["entity_id"], event.data["data"]) for event in bench.events()] == [
        (entity.created, "x", first),
        (entity.updated, "x", second),
    ]
    assert all(event.audience is None for event in bench.events())


@every_kind
def test_list_is_in_its_order_page_by_page(bench: Bench, entity: Entity) -> None:
    """Pages of any size give the whole list in its order, each entity once."""
    numbers = list(range(12))
    for number in numbers:
        many = {
            "score": number % 3 / 2,
            "priority": ("high", "low", "medium")[number % 3],
            "updated_at": f"2026-01-01T00:00:0{number % 4}Z",
            "created_at": f"2026-01-01T00:00:0{number % 4}.1Z",
            "started_at": f"2026-01-01T00:00:0{number % 4}.12Z",
        }
        create(
            bench, entity, id=f"x{number}", **{name: value for name, value in many.items() if name in entity.by_name}
        )

    def rank(number: int) -> tuple[Any, ...]:
        newest = (-(number % 4), -number)
        if "score" in entity.by_name:
            return (-(number % 3), *newest)
        return (number % 3, *newest) if "priority" in entity.by_name else newest

    expected = [f"x{number}" for number in sorted(numbers, key=rank)]
    assert listed(bench, entity) == expected
    for size in (1, 5, 11, 12):
        found: list[str] = []
        cursor = None
        while True:
            page = bench.ask(command(entity, "listing", limit=size, cursor=cursor))
            found += [each.id for each in page.entities]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert found == expected


@every_kind
def test_list_is_filtered_by_each_of_its_names(bench: Bench, entity: Entity) -> None:
    """Every filter, under every name, and all of them together."""
    for mark in ("a", "b"):
        create(bench, entity, id=mark, **whole(entity, mark))

    for each in entity.filters:
        for name in (each.field, *each.aliases):
            assert listed(bench, entity, **{name: sample(entity.by_name[each.field], "b")}) == ["b"]
            assert listed(bench, entity, **{name: "nothing"}) == []
    together = {each.field: sample(entity.by_name[each.field], "a") for each in entity.filters}
    assert listed(bench, entity, **together) == ["a"]
    assert listed(bench, entity, **{**together, entity.filters[0].field: "nothing"}) == []


@every_kind
@pytest.mark.parametrize("cursor", ["x", "5", "W10", "WzEsMl0", "WyJhIiwiYiIsImMiXQ", "é", "bnVsbA"])
def test_cursor_of_another_list_is_refused(bench: Bench, entity: Entity, cursor: str) -> None:
    """A made-up cursor is a refusal, never a wrong page."""
    place_of_ours = entity.plural not in ("insights", "cujs") and cursor == "WzEsMl0"
    if place_of_ours:
        assert listed(bench, entity, cursor=cursor) == []
        return
    with pytest.raises(InvalidRequest, match="cursor"):
        listed(bench, entity, cursor=cursor)


def test_given_version_of_a_journey_is_kept(bench: Bench) -> None:
    """As in the original, a journey keeps the version it comes with, and nothing else does."""
    for entity in ENTITIES:
        made = create(bench, entity, version=7)
        assert made["version"] == (7 if entity.keeps_version else 1)


def test_contradicting_names_of_a_filter_are_refused(bench: Bench) -> None:
    """`spec` and `spec_id` are the same filter."""
    with pytest.raises(InvalidRequest, match="spec_id"):
        listed(bench, ENTITIES[1], spec="a", spec_id="b")


def test_tasks_of_an_agent_are_found_by_name_and_id(bench: Bench) -> None:
    """Assigned under the name or the id: both mean the agent, in one list in its order, page by page."""
    anna = bench.register("anna").agent_id
    for number in range(6):
        create(bench, ENTITIES[3], id=f"t{number}", agent="anna" if number % 2 else anna)
    create(bench, ENTITIES[3], id="other", agent="ben")

    for name in ("anna", anna):
        assert listed(bench, ENTITIES[3], agent=name) == [f"t{number}" for number in (5, 4, 3, 2, 1, 0)]
        first = bench.ask(command(ENTITIES[3], "listing", agent=name, limit=4))
        rest = listed(bench, ENTITIES[3], agent=name, limit=4, cursor=first.next_cursor)
        assert ([each.id for each in first.entities], rest) == (["t5", "t4", "t3", "t2"], ["t1", "t0"])


def test_change_moves_an_entity_to_the_front(bench: Bench) -> None:
    """The list is by the last change, and times within a second are compared as times."""
    for name in ("old", "new"):
        create(
            bench,
            ENTITIES[0],
            id=name,
            updated_at="2026-01-01T00:00:05.1Z" if name == "old" else "2026-01-01T00:00:05.12Z",
        )

    assert listed(bench, ENTITIES[0]) == ["new", "old"]
    bench.wait(1)
    bench.run(command(ENTITIES[0], "change", id="old"))
    assert listed(bench, ENTITIES[0]) == ["old", "new"]
