"""One view of all that a specification has come to (issue 4, point 6)."""

import pytest
from entity_samples import command, shown
from handler_bench import Bench

from intermute.core import limits
from intermute.core.api.entity_actions import SpecTree
from intermute.core.entities.kinds import CUJ, EPIC, SPEC, STORY, TASK
from intermute.core.errors import UnknownEntity


@pytest.fixture
def bench() -> Bench:
    """A project with two specifications."""
    made = Bench()
    for spec in ("s", "other"):
        made.run(command(SPEC, "create", id=spec, title=spec))
        for entity, parent in ((EPIC, "spec_id"), (CUJ, "spec_id")):
            made.run(command(entity, "create", id=f"{entity.kind}-{spec}", title="x", **{parent: spec}))
        made.run(command(STORY, "create", id=f"story-{spec}", title="x", epic_id=f"epic-{spec}", status="review"))
    return made


def test_tree_has_everything_below_and_nothing_else(bench: Bench) -> None:
    """Epics with their stories with their tasks, the journeys, and how many are in which status."""
    for number, status in enumerate(("pending", "done", "done")):
        bench.run(command(TASK, "create", id=f"t{number}", title="x", story_id="story-s", status=status))
    bench.run(command(TASK, "create", id="stray", title="x", story_id="elsewhere"))
    bench.run(command(EPIC, "create", id="empty", title="x", spec_id="s"))

    tree = shown(bench.ask(SpecTree(id="s")))

    assert tree["spec"]["id"] == "s"
    assert [each["id"] for each in tree["epics"]] == ["empty", "epic-s"]
    assert tree["epics"][0]["stories"] == []
    [story] = tree["epics"][1]["stories"]
    assert story["id"] == "story-s"
    assert [each["id"] for each in story["tasks"]] == ["t2", "t1", "t0"]
    assert story["tasks"][0] == shown(bench.ask(command(TASK, "get", id="t2")))
    assert [each["id"] for each in tree["cujs"]] == ["cuj-s"]
    assert tree["counts"] == {
        "epics": {"open": 2}, "stories": {"review": 1}, "tasks": {"done": 2, "pending": 1}, "cujs": {"draft": 1},
    }  # fmt: skip
    assert "is_cut" not in tree


def test_tree_of_nothing_is_refused(bench: Bench) -> None:
    """An unknown specification has no tree."""
    with pytest.raises(UnknownEntity):
        bench.ask(SpecTree(id="x"))


def test_tree_is_bounded_and_says_so(bench: Bench) -> None:
    """What is too large to show is cut, in the middle of a story as well, and the counts are of all."""
    text = "x" * limits.ENTITY_TEXT_CHARS_MAX
    count = limits.PAGE_CHARS_MAX // len(text) + 5
    for number in range(count):
        bench.run(command(EPIC, "create", id=f"e{number}", title="x", spec_id="s", description=text))

    tree = shown(bench.ask(SpecTree(id="s")))

    assert tree["is_cut"] is True
    assert len(tree["epics"]) < count
    assert tree["counts"]["epics"] == {"open": count + 1}
