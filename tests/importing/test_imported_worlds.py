"""Whatever an original holds that a request could have made comes over as it was, once, in its order, in every age."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from original_files import Age, OriginalFile

from intermute.core.entities.definition import Entity, FieldType
from intermute.core.entities.kinds import ENTITIES
from intermute.core.ids import Micros, ProjectName
from intermute.core.original.report import ProjectReport
from intermute.core.times import rfc3339
from intermute.project.importing import import_project, targets_of
from intermute.store import entities as entity_rows
from intermute.store import messages as message_rows
from intermute.store.chain import check_chain
from intermute.store.connection import close, open_reader
from intermute.store.directory import DataDirectory
from intermute.store.original import opened

ACME = ProjectName("acme")
NOW_US = Micros(1_784_714_400_000_000)
TIMES = st.integers(0, NOW_US).map(Micros)
ADDRESSES = st.sampled_from(["agent-1", "agent-2", "ben", "carl", "Zoë", "a/b"])
LINES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=12)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
LISTS = st.lists(ADDRESSES, max_size=3)


@st.composite
def messages(draw: st.DrawFn) -> dict[str, Any]:  # Any: the columns of a row.
    """Draw a message that a request could have sent, with the marks of some of its recipients."""
    to = draw(st.lists(ADDRESSES, min_size=1, max_size=3))
    cc, bcc = draw(LISTS), draw(LISTS)
    marked = draw(st.lists(st.sampled_from(to), unique=True))
    return {
        "sender": draw(ADDRESSES), "to": to, "cc": cc, "bcc": bcc, "body": draw(TEXTS), "subject": draw(LINES),
        "thread_id": draw(st.sampled_from(["", "t1", "t2"])), "ack_required": draw(st.integers(0, 1)),
        "importance": draw(LINES), "created_at_us": draw(TIMES),
        "read": {agent: draw(TIMES) for agent in marked},
    }  # fmt: skip


def values_of(entity: Entity) -> st.SearchStrategy[Mapping[str, Any]]:
    """Return how to draw the contents of an entity of this kind, but for its references."""
    of_type = {
        FieldType.TITLE: LINES, FieldType.TEXT: TEXTS, FieldType.WORD: LINES.filter(bool), FieldType.NUMBER: st.floats(-1e9, 1e9),
        FieldType.TIME: TIMES, FieldType.WORDS: st.lists(TEXTS, max_size=3),
        FieldType.STEPS: st.lists(st.fixed_dictionaries({"order": st.integers(1, 9), "action": TEXTS}), max_size=2),
    }  # fmt: skip
    drawn = {each.name: of_type[each.type] for each in entity.contents if not each.is_ours and each.refers_to is None}
    return st.fixed_dictionaries(drawn)


ENTITY_ROWS = st.one_of([st.tuples(st.just(entity), values_of(entity)) for entity in ENTITIES])


def as_columns(entity: Entity, values: Mapping[str, Any]) -> dict[str, Any]:  # Any: whatever SQLite can hold.
    """Return the contents of an entity as the original stores them."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        match entity.by_name[name].type:
            case FieldType.TIME:
                found[name] = rfc3339(value)
            case FieldType.WORDS | FieldType.STEPS:
                found[f"{name}_json"] = json.dumps(value)
            case _:
                found[name] = value
    return found


def imported(path: Path, root: Path) -> ProjectReport:
    """Import the project `acme` of a file, and check that the report says the same of every row that it looked at."""
    seen: list[None] = []
    with opened(path) as original:
        targets, refused = targets_of(original)
        assert refused == []
        found = import_project(
            original, DataDirectory(root), ACME, targets.get(ACME, []), NOW_US, lambda bits: 2**bits - 1 - len(seen),
            is_trial=False, on_row=lambda: seen.append(None),
        )  # fmt: skip
    assert found.problem is None
    assert sum(each.taken + each.already_here + each.left_out for each in found.kinds.values()) == len(seen)
    return found


@settings(max_examples=40)
@given(st.sampled_from(Age), st.lists(messages(), max_size=6), st.lists(ENTITY_ROWS, max_size=6))
def test_imported_world_is_the_originals(
    age: Age, sent: list[dict[str, Any]], made: list[tuple[Entity, Mapping[str, Any]]]
) -> None:
    """Each message and entity is there with what this age knew of it; nothing comes in twice."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "data"
        DataDirectory(root).prepare()
        file = OriginalFile(Path(folder) / "old.db", age)
        file.insert("agents", id="agent-1", name="ben", project=ACME, created_at="", last_seen=rfc3339(NOW_US))
        for number, row in enumerate(sent):
            more = {
                name: value
                for name, value in row.items()
                if name not in ("sender", "to", "body", "created_at_us", "read")
            }
            file.send(
                ACME,
                row["sender"],
                row["to"],
                row["body"],
                message_id=f"m{number}",
                created_at=rfc3339(row["created_at_us"]),
                **more,
            )
            for agent, at_us in row["read"].items():
                file.mark(ACME, f"m{number}", agent, read_at=rfc3339(at_us))
        for number, (entity, values) in enumerate(made):
            file.insert(
                entity.plural,
                id=f"e{number}",
                project=ACME,
                version=number + 1,
                epic_id="",
                **as_columns(entity, values),
            )
        file.close()

        first, second = imported(file.path, root), imported(file.path, root)

        has_cujs = age is not Age.BEFORE_PROJECTS
        kept = [(f"e{number}", *row) for number, row in enumerate(made) if has_cujs or row[0].plural != "cujs"]
        assert first.taken == 1 + len(sent) + len(kept)
        assert second.taken == 0
        check(root, age, sent, kept)


def check(root: Path, age: Age, sent: list[dict[str, Any]], kept: list[tuple[str, Entity, Mapping[str, Any]]]) -> None:
    """Compare what is stored with what was drawn."""
    connection = open_reader(DataDirectory(root).path_of(ACME))
    try:
        check_chain(connection)
        cursors = []
        for number, row in enumerate(sent):
            found = message_rows.one(connection, f"m{number}")
            assert found is not None
            cursors.append(found.cursor)
            assert (found.sender, list(found.to), found.body) == (row["sender"], row["to"], row["body"])
            assert found.created_at_us == row["created_at_us"]
            if age is not Age.BEFORE_PROJECTS:
                assert (list(found.cc), list(found.bcc), found.subject) == (row["cc"], row["bcc"], row["subject"])
                receipts = message_rows.receipts(connection, found.id)
                read = {"agent-1" if agent == "ben" else agent: at_us for agent, at_us in row["read"].items()}
                assert {
                    each.agent: each.read_at_us for each in receipts if each.read_at_us is not None
                }.keys() == read.keys()
        assert cursors == sorted(cursors)
        for entity_id, entity, values in kept:
            record = entity_rows.one(connection, entity, entity_id)
            assert record is not None
            stored = json.loads(msgspec.json.encode({name: record[name] for name in values}))
            assert {name: value for name, value in stored.items() if name != "steps"} == {
                name: value for name, value in values.items() if name != "steps"
            }
            has_versions = age is not Age.BEFORE_PROJECTS and entity.plural not in ("insights", "sessions")
            assert record.version == (int(entity_id[1:]) + 1 if has_versions else 1)
    finally:
        close(connection)
