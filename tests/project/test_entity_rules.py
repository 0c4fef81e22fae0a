"""References, orphans and status flows: free by default, enforced where the project is strict (issue 4, points 3 and 4)."""

from typing import Any

import pytest
from entity_samples import command, shown, smallest, whole
from handler_bench import LOCAL, Bench

from intermute.core.api.entity_actions import AssignTask, CUJLinks, LinkCUJ, LinkInsight, UnlinkCUJ
from intermute.core.api.settings import ChangeSettings
from intermute.core.entities.definition import Entity, FieldType
from intermute.core.entities.kinds import CUJ, ENTITIES, EPIC, INSIGHT, OF_KIND, SESSION, SPEC, STORY, TASK
from intermute.core.errors import StatusRefused, StillReferenced, UnknownEntity, UnknownReference

with_flow = pytest.mark.parametrize("entity", [each for each in ENTITIES if each.flow], ids=lambda each: each.plural)
with_parent = pytest.mark.parametrize("entity", [each for each in ENTITIES if each.references], ids=lambda e: e.plural)


@pytest.fixture
def bench() -> Bench:
    """A project of its own."""
    return Bench()


@pytest.fixture
def strict() -> Bench:
    """A project that enforces references and status flows."""
    made = Bench()
    enforce(made, strict_references=True, strict_status=True)
    return made


def enforce(bench: Bench, **switches: bool) -> None:
    """Set switches of the project as an operator would."""
    bench.run(ChangeSettings(project="demo", agent_id="boss", **switches))  # type: ignore[arg-type] # Switches are bool.


def create(bench: Bench, entity: Entity, **fields: Any) -> dict[str, Any]:
    """Make an entity and return it as a client sees it."""
    return shown(bench.run(command(entity, "create", **{**smallest(entity), **fields})))


@with_parent
def test_missing_parent_is_a_warning(bench: Bench, entity: Entity) -> None:
    """Taken as the original takes it, and each reference that leads nowhere is named; one that leads somewhere is not."""
    fields = {field.name: ["gone"] if field.type is FieldType.WORDS else "gone" for field in entity.references}

    made = create(bench, entity, id="x", **fields)
    replaced = shown(bench.run(command(entity, "replace", id="x", version=1, **smallest(entity), **fields)))
    merged = shown(bench.run(command(entity, "change", id="x", **fields)))

    for answer in (made, replaced, merged):
        assert len(answer["warnings"]) == len(fields)
        assert all(any(name in warning for warning in answer["warnings"]) for name in fields)
    assert "warnings" not in shown(bench.ask(command(entity, "get", id="x")))
    for field in entity.references:
        assert field.refers_to is not None
        create(bench, OF_KIND[field.refers_to], id="gone")
    assert "warnings" not in shown(bench.run(command(entity, "change", id="x", **fields)))


@with_parent
def test_missing_parent_is_refused_where_references_are_strict(strict: Bench, entity: Entity) -> None:
    """422 with every missing one; a parent made in the same batch counts."""
    fields = {field.name: ["gone"] if field.type is FieldType.WORDS else "gone" for field in entity.references}

    with pytest.raises(UnknownReference) as refused:
        create(strict, entity, **fields)

    assert [each["field"] for each in refused.value.details["missing"]] == list(fields)  # type: ignore[attr-defined] # a list.
    assert [event.type for event in strict.events()] == ["project.settings"]
    parents = [
        command(OF_KIND[kind], "create", id="gone", title="x")
        for kind in {f.refers_to for f in entity.references}
        if kind
    ]
    outcomes = strict.batch(
        *((each, LOCAL) for each in [*parents, command(entity, "create", **smallest(entity), **fields)])
    )
    assert not [each for each in outcomes if isinstance(each, Exception)]


def test_delete_says_what_it_orphans(bench: Bench) -> None:
    """Every kind that refers to it is told of; nothing that refers is changed, and nothing else is named."""
    create(bench, SPEC, id="s")
    create(bench, SPEC, id="other")
    for entity in (EPIC, INSIGHT, CUJ):
        create(bench, entity, id="of-s", spec_id="s")
        create(bench, entity, id="of-other", spec_id="other")

    gone = shown(bench.run(command(SPEC, "delete", id="s", cascade="orphan")))

    expected = [("epic", "of-s", "spec_id"), ("insight", "of-s", "spec_id"), ("cuj", "of-s", "spec_id")]
    assert [(each["kind"], each["id"], each["field"]) for each in gone["orphaned"]] == expected
    assert (gone["deleted"], gone["orphaned_count"]) == (True, 3)
    assert bench.events()[-1].data["orphaned_count"] == 3
    assert shown(bench.ask(command(EPIC, "get", id="of-s")))["spec_id"] == "s"
    again = shown(bench.run(command(SPEC, "delete", id="s", cascade="orphan")))
    assert (again["deleted"], again["orphaned"]) == (False, [])


def test_delete_that_would_orphan_can_be_refused(bench: Bench) -> None:
    """With `refuse` a parent stays while it has children, and goes when they are gone; by default it goes."""
    create(bench, STORY, id="st")
    create(bench, TASK, id="t", story_id="st")
    create(bench, SESSION, id="se", task_id="t")

    create(bench, TASK, id="first")
    create(bench, TASK, id="second", depends_on=["first"])

    for entity, entity_id, child in ((STORY, "st", "t"), (TASK, "t", "se"), (TASK, "first", "second")):
        with pytest.raises(StillReferenced, match="1 other:") as refused:
            bench.run(command(entity, "delete", id=entity_id, cascade="refuse"))
        assert [each["id"] for each in refused.value.orphaned] == [child]
    bench.run(command(SESSION, "delete", id="se"))
    assert shown(bench.run(command(TASK, "delete", id="t", cascade="refuse")))["deleted"]
    create(bench, TASK, id="t", story_id="st")
    gone = shown(bench.run(command(STORY, "delete", id="st")))
    assert gone == {"orphaned": [{"kind": "task", "id": "t", "field": "story_id"}], "orphaned_count": 1}
    bench.run(command(TASK, "change", id="second", depends_on=[]))
    assert shown(bench.run(command(TASK, "delete", id="first", cascade="refuse")))["deleted"]


def test_delete_sees_what_the_batch_has_changed(bench: Bench) -> None:
    """A child that comes, moves away or goes in the same batch counts as it is then."""
    for name in ("a", "b", "c"):
        create(bench, SPEC, id=name)
    create(bench, EPIC, id="moves", spec_id="a")
    create(bench, EPIC, id="goes", spec_id="b")
    commands = [
        command(EPIC, "change", id="moves", spec_id="c"),
        command(EPIC, "delete", id="goes"),
        command(EPIC, "create", id="comes", title="x", spec_id="b"),
        *(command(SPEC, "delete", id=name, cascade="orphan") for name in ("a", "b", "c")),
    ]

    outcomes = bench.batch(*((each, LOCAL) for each in commands))

    found = [[each["id"] for each in shown(outcome)["orphaned"]] for outcome in outcomes[3:]]
    assert found == [[], ["comes"], ["moves"]]


@with_flow
def test_status_is_free_by_default(bench: Bench, entity: Entity) -> None:
    """As in the original any word will do, from any other."""
    create(bench, entity, id="x", status="anything")

    for status in (*entity.flow, "something", *reversed(list(entity.flow))):
        assert shown(bench.run(command(entity, "change", id="x", status=status)))["status"] == status


@with_flow
def test_strict_status_follows_the_flow(strict: Bench, entity: Entity) -> None:
    """Where strict, each status leads to those of the flow and to itself; others are refused, with what is allowed."""
    for before in entity.flow:
        for wished in (*entity.flow, "unheard of"):
            name = f"{before}-{wished}"
            create(strict, entity, id=name, status=before)
            change = command(entity, "change", id=name, status=wished)
            if wished == before or wished in entity.flow[before]:
                assert shown(strict.run(change))["status"] == wished
                continue
            with pytest.raises(StatusRefused) as refused:
                strict.run(change)
            assert refused.value.details == {"field": "status", "status": before, "allowed": list(entity.flow[before])}


@with_flow
def test_strict_status_knows_its_words(strict: Bench, entity: Entity) -> None:
    """Where strict, a new entity and a full replace need a status of the flow; what is outside of it finds its way back."""
    with pytest.raises(StatusRefused):
        create(strict, entity, status="unheard of")
    create(strict, entity, id="x")
    with pytest.raises(StatusRefused):
        strict.run(command(entity, "replace", id="x", version=1, **smallest(entity)))
    enforce(strict, strict_status=False)
    strict.run(command(entity, "change", id="x", status="unheard of"))
    enforce(strict, strict_status=True)
    for status in entity.flow:
        strict.run(command(entity, "change", id="x", status=status))
        break


def test_flow_leads_to_words_of_the_flow() -> None:
    """The definitions agree with themselves: what follows is known, and what a new entity has comes first."""
    for entity in ENTITIES:
        assert {each for following in entity.flow.values() for each in following} <= set(entity.flow)
        assert set(entity.milestones) <= set(entity.flow)
        if entity.flow:
            assert next(iter(entity.flow)) == entity.by_name["status"].default


def test_strict_assignment_follows_the_flow(strict: Bench) -> None:
    """A task that is done is not assigned again where status flows are enforced."""
    create(strict, TASK, id="t", status="done")

    with pytest.raises(StatusRefused, match="pending"):
        strict.run(AssignTask(id="t", agent="anna"))


def test_insight_is_linked(bench: Bench) -> None:
    """The specification is set, the event says which, and an unknown insight is refused."""
    create(bench, INSIGHT, id="i", **whole(INSIGHT))

    linked = shown(bench.run(LinkInsight(id="i", spec_id="s")))

    assert (linked["spec_id"], linked["version"], len(linked["warnings"])) == ("s", 2, 1)
    assert bench.events()[-1].type == "insight.linked"
    assert bench.events()[-1].data == {"entity_id": "i", "data": {"spec_id": "s"}}
    with pytest.raises(UnknownEntity):
        bench.run(LinkInsight(id="x", spec_id="s"))
    enforce(bench, strict_references=True)
    with pytest.raises(UnknownReference):
        bench.run(LinkInsight(id="i", spec_id="s"))


def test_journey_is_linked_and_unlinked(bench: Bench) -> None:
    """Linking twice is one link with a new time, unlinking what is not linked changes nothing, a delete takes all along."""
    create(bench, CUJ, id="c")

    def links() -> list[str]:
        return [each["feature_id"] for each in shown(bench.ask(CUJLinks(id="c")))["links"]]

    first = bench.run(LinkCUJ(id="c", feature_id="f1"))
    second = bench.run(LinkCUJ(id="c", feature_id="f1"))
    bench.run(LinkCUJ(id="c", feature_id="f2"))
    assert (first.cuj_id, first.feature_id, first.project) == ("c", "f1", "demo")
    assert second.linked_at > first.linked_at
    assert links() == ["f1", "f2"]

    assert bench.run(UnlinkCUJ(id="c", feature_id="f1")).unlinked is True
    count = len(bench.events())
    assert bench.run(UnlinkCUJ(id="c", feature_id="f1")).unlinked is False
    assert len(bench.events()) == count
    assert links() == ["f2"]
    linking, unlinking = LinkCUJ(id="c", feature_id="f3"), UnlinkCUJ(id="c", feature_id="f3")
    outcomes = bench.batch((linking, LOCAL), (unlinking, LOCAL), (unlinking, LOCAL))
    assert [each.unlinked for each in outcomes[1:]] == [True, False]
    bench.run(command(CUJ, "delete", id="c"))
    assert links() == []
    with pytest.raises(UnknownEntity):
        bench.run(LinkCUJ(id="c", feature_id="f1"))
    with pytest.raises(UnknownEntity):
        bench.run(UnlinkCUJ(id="c", feature_id="f1"))
