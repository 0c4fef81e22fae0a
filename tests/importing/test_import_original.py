"""`intermute import-original`: what comes over, what stays out and why, and that it can be repeated (issue 6 point 6)."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from calls import Json, events, good, inbox, register, reserve, send
from click.testing import CliRunner, Result
from original_files import Age, OriginalFile, World, go_time, small_world
from server_process import ServerProcess

from intermute.cli.main import cli
from intermute.core.ids import ProjectName, project_digest
from intermute.store.original import NotTheOriginals, opened

NOW = go_time(datetime.now(UTC))


def run(path: Path, data: Path, *flags: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(cli, ["import-original", str(path), "--data", str(data), *flags])


def report(path: Path, data: Path, *flags: str, code: int = 0) -> dict[str, Json]:
    """Import, and return the projects of the report by name."""
    found = run(path, data, "--json", *flags)
    assert found.exit_code == code, found.output
    return {each["project"]: each for each in json.loads(found.stdout)["projects"]}


def taken(project: Json) -> dict[str, int]:
    """Return how many rows were taken, by kind."""
    return {kind: tally["taken"] for kind, tally in project["kinds"].items() if tally["taken"]}


def content(root: Path) -> dict[str, bytes]:
    """Return every file below a directory but the lock."""
    return {str(each): each.read_bytes() for each in sorted(root.rglob("*")) if each.is_file() and each.name != "lock"}


def is_well(data: Path) -> bool:
    """Tell whether `doctor` finds the directory whole: structure, hash chains, seals."""
    found = CliRunner().invoke(cli, ["doctor", "--data", str(data)])
    return found.exit_code == 0 and "PROBLEM" not in found.stdout


@pytest.fixture(params=list(Age), ids=lambda age: age.name.lower())
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """A small original of each age."""
    return small_world(tmp_path / "old.db", cast("Age", request.param))  # a fixture's parameter has no type.


@pytest.fixture
def full(tmp_path: Path) -> World:
    """A small original of today's age."""
    return small_world(tmp_path / "old.db")


def test_files_of_every_age_come_over_whole(world: World, tmp_path: Path) -> None:
    """Everything that the age knows is taken, the file is as it was, and `doctor` finds the result whole."""
    before = world.path.read_bytes()

    found = report(world.path, tmp_path / "data")

    kinds = taken(found["acme"])
    assert kinds.pop("cujs", 1) == kinds.pop("cuj_feature_links", 1) == kinds.pop("agent_contacts", 1) == 1
    assert kinds == {
        "agents": 2, "specs": 1, "epics": 1, "stories": 1, "tasks": 1, "insights": 1, "sessions": 1, "messages": 2,
        "file_reservations": 1,
    }  # fmt: skip
    assert found["acme"]["kinds"]["file_reservations"]["left_out"] == 2
    assert taken(found["umbra"]) == {"messages": 1}
    assert world.path.read_bytes() == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["data", "old.db"]
    assert is_well(tmp_path / "data")


def test_running_it_again_changes_nothing(world: World, tmp_path: Path) -> None:
    """The second run finds everything here already, and not a byte differs."""
    report(world.path, tmp_path / "data")
    before = content(tmp_path / "data")

    again = report(world.path, tmp_path / "data")

    assert content(tmp_path / "data") == before
    assert {name: each["taken"] for name, each in again.items()} == {"acme": 0, "umbra": 0}
    assert sum(tally["already_here"] for tally in again["acme"]["kinds"].values()) >= 10


def test_dry_run_says_the_same_and_changes_nothing(full: World, tmp_path: Path) -> None:
    """The report is that of the import, and not even the directory is made; nor does it change one that is there."""
    trial = report(full.path, tmp_path / "data", "--dry-run")
    assert not (tmp_path / "data").exists()

    done = report(full.path, tmp_path / "data")

    assert trial == done
    before = content(tmp_path / "data")
    assert report(full.path, tmp_path / "data", "--dry-run")["acme"]["taken"] == 0
    assert content(tmp_path / "data") == before


@pytest.fixture
def imported(full: World, tmp_path: Path) -> Any:  # Any: a generator of a client, as pytest takes it.
    """A caller of a server that serves what was imported."""
    report(full.path, tmp_path / "home" / "data")
    with ServerProcess(tmp_path / "home") as running, running.client() as client:
        yield client
        assert running.stop() == 0


def test_imported_projects_are_served(imported: httpx.Client, full: World) -> None:
    """Agents, mail with its marks, threads, entities, links and locks are there, with their ids and times."""
    listed = {agent["name"]: agent for agent in good(imported.get("/api/agents?project=acme"))["agents"]}
    assert {name: agent["agent_id"] for name, agent in listed.items()} == {"anna": full.anna, "ben": full.ben}
    assert listed["anna"]["created_at"] == full.made_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert (listed["ben"]["capabilities"], listed["ben"]["metadata"], listed["ben"]["active"]) == (
        ["python"],
        None,
        False,
    )

    for reader, kind in ((full.ben, "to"), ("ben", "to"), ("carl", "to"), ("dora", "cc"), ("eve", "bcc")):
        [message] = inbox(imported, "acme", reader)
        assert (message["id"], message["body"], message["kind"]) == (full.first, "please review", kind)
        assert bool(message.get("ack_at")) is bool(message.get("read_at")) is (kind == "to" and reader != "carl")
    assert message["created_at"].startswith(full.made_at.strftime("%Y-%m-%dT%H:%M:%S"))
    assert (message["topic"], message["importance"], message["from"]) == ("deploy", "high", full.anna)
    thread = good(imported.get("/api/threads/t-7?project=acme"))["messages"]
    assert [each["id"] for each in thread] == [full.first, full.second]
    [summary] = good(imported.get("/api/threads", params={"agent": full.anna, "project": "acme"}))["threads"]
    assert (summary["message_count"], summary["last_body"]) == (2, "done")

    [lock] = good(imported.get("/api/reservations?project=acme"))["reservations"]
    assert (lock["id"], lock["agent_id"], lock["held_by"], lock["exclusive"]) == (full.lock, full.anna, "anna", True)
    entities = {
        "specs/s1": ("vision", "fast"), "epics/e1": ("spec_id", "s1"), "stories/st1": ("acceptance_criteria", ["a", "b"]),
        "tasks/t1": ("agent", full.ben), "insights/i1": ("score", 0.85), "sessions/x1": ("task_id", "t1"),
        "cujs/c1": ("priority", "high"),
    }  # fmt: skip
    for path, (field, value) in entities.items():
        assert good(imported.get(f"/api/{path}?project=acme"))[field] == value
    assert good(imported.get("/api/specs/s1?project=acme"))["version"] == 3
    assert [each["feature_id"] for each in good(imported.get("/api/cujs/c1/links?project=acme"))] == ["f1"]
    assert all(event["imported"] for event in events(imported, "acme"))


def test_imported_agents_go_on_where_they_were(imported: httpx.Client, full: World) -> None:
    """With its old token an agent is itself; its beat, which names no project, and its old lock are found by their ids."""
    proof = {"X-Agent-ID": full.anna, "X-Agent-Token": "token-of-anna"}
    good(imported.get("/api/inbox/anna?project=acme", headers=proof))

    good(imported.post(f"/api/agents/{full.anna}/heartbeat", json={}))
    good(imported.delete(f"/api/reservations/{full.lock}", headers=proof))

    assert good(imported.get("/api/reservations?project=acme"))["reservations"] == []
    send(imported, "acme", "anna", ["ben"], body="new")
    assert [each["body"] for each in inbox(imported, "acme", full.ben)] == ["please review", "new"]


def served(home: Path, use: Callable[[httpx.Client], None]) -> None:
    """Serve a directory for the length of a call."""
    with ServerProcess(home) as running, running.client() as client:
        use(client)
        assert running.stop() == 0


def test_import_takes_nothing_from_those_who_are_here(full: World, tmp_path: Path) -> None:
    """A name, a lock and an id that are taken stay; the newcomer gets another name or is left out, with the reason."""

    def before(client: httpx.Client) -> None:
        register(client, "acme", "anna")
        reserve(client, "acme", "zed", "src/main.go")
        good(client.post("/api/specs", json={"project": "acme", "id": "s1", "title": "ours"}), 201)
        send(client, "acme", "zed", ["anna"], id=full.first, body="ours")

    def after(client: httpx.Client) -> None:
        listed = good(client.get("/api/agents?project=acme"))["agents"]
        assert {each["name"] for each in listed if each["agent_id"] == full.anna} == {"anna-2"}
        assert good(client.get("/api/specs/s1?project=acme"))["title"] == "ours"
        assert [each["body"] for each in inbox(client, "acme", "anna")] == ["ours"]
        assert len(good(client.get("/api/reservations?project=acme"))["reservations"]) == 1

    served(tmp_path / "home", before)

    found = report(full.path, tmp_path / "home" / "data")["acme"]

    assert {(line["kind"], line["says"]) for line in found["left_out"]} == {
        ("specs", "another spec has this id here"),
        ("messages", "another message has this id here"),
        ("file_reservations", "it overlaps with what 'zed' holds here"),
    }
    assert [line["says"] for line in found["changed"]] == ["as 'anna-2': another agent is called 'anna'"]
    assert is_well(tmp_path / "home" / "data")
    served(tmp_path / "home", after)


def test_import_needs_the_directory_for_itself(full: World, tmp_path: Path) -> None:
    """While a server runs there, the command says so and changes nothing."""
    with ServerProcess(tmp_path / "home") as running:
        found = run(full.path, running.data)

        assert found.exit_code == 3
        assert "stop it" in found.output
        assert list(running.data.glob("*.db")) == []


def test_damaged_project_is_not_taken_and_the_others_are(full: World, tmp_path: Path) -> None:
    """A project that cannot be taken is left as it is; the exit code and the report say so, and the others come over."""
    data = tmp_path / "data"
    report(full.path, data)
    damaged, other = (data / f"{project_digest(ProjectName(name))}.db" for name in ("acme", "umbra"))
    damaged.write_bytes(b"damaged" + damaged.read_bytes()[7:])
    other.unlink()
    other.with_suffix(".seal").unlink()
    before = damaged.read_bytes()

    found = report(full.path, data, code=3)

    assert found["acme"]["problem"]
    assert found["acme"]["kinds"] == {}
    assert taken(found["umbra"]) == {"messages": 1}
    assert damaged.read_bytes() == before


@pytest.mark.parametrize(
    ("project", "becomes"), [("", "default"), (None, "default"), ("  acme ", "acme"), ("e\u0301", "\u00e9")]
)
def test_project_names_are_ours(project: str | None, becomes: str, tmp_path: Path) -> None:
    """No project is `default`, spaces go, and names are NFC; the report has the old name."""
    made = OriginalFile(tmp_path / "old.db")
    made.insert("agents", id="a1", name="anna", project=project, created_at=NOW, last_seen=NOW)
    made.close()

    found = report(made.path, tmp_path / "data")

    assert (list(found), found[becomes]["called"]) == ([becomes], [project or ""])


@pytest.mark.parametrize("project", ["a\nb", "x" * 129, b"\xff\xfe"])
def test_project_with_an_impossible_name_is_left_out(project: str | bytes, tmp_path: Path) -> None:
    """What is no project name is named in the report; the others come over."""
    made = OriginalFile(tmp_path / "old.db")
    for name, agent in ((project, "a1"), ("acme", "a2")):
        made.insert("agents", id=agent, name=agent, created_at=NOW, last_seen=NOW)
        sql = "UPDATE agents SET project = CAST(:p AS TEXT) WHERE id = :id"
        made.connection.execute(sql, {"p": name, "id": agent})
    made.close()

    found = report(made.path, tmp_path / "data", code=3)

    assert {name: bool(each["problem"]) for name, each in found.items() if name == "acme" or each["problem"]} == {
        name: name != "acme" for name in found
    }
    assert taken(found["acme"]) == {"agents": 1}


def test_two_names_of_one_project_come_together(tmp_path: Path) -> None:
    """Where two projects of the file mean one of ours, the first thing under an id is taken."""
    made = OriginalFile(tmp_path / "old.db")
    for project, title in (("acme", "one"), (" acme", "two")):
        made.insert("specs", id="s1", project=project, title=title, created_at="2026-01-01T00:00:00Z")
        made.insert("specs", id=title, project=project, title=title, created_at=NOW)
    made.close()

    found = report(made.path, tmp_path / "data")["acme"]

    assert sorted(found["called"]) == [" acme", "acme"]
    assert found["kinds"]["specs"] == {"taken": 3, "already_here": 1, "left_out": 0}


def test_hostile_rows_stay_out_with_their_reasons(tmp_path: Path) -> None:
    """Bytes that are no text, oversize, JSON that is none: each row is named, the rest comes over."""
    made = OriginalFile(tmp_path / "old.db")
    good_id = made.send("acme", "a", ["b"], "fine")
    made.insert("cujs", id="c1", project="acme", title="x", spec_id="", steps_json='[{"\\u001b[2J":1}]', created_at=NOW)
    for number, (column, value) in enumerate(
        [("body", b"\xff\xfe"), ("to_json", "{"), ("thread_id", "a\nb"), ("body", "x" * 3_000_000), ("from_agent", "")]
    ):
        made.send("acme", "a", ["b"], "bad", message_id=f"m{number}")
        sql = f"UPDATE messages SET {column} = CAST(:value AS TEXT) WHERE message_id = :id"
        made.connection.execute(sql, {"value": value, "id": f"m{number}"})
    made.insert("agents", id="a1", name="\x07", project="acme", created_at="never", last_seen="2999-01-01T00:00:00Z")
    made.close()

    found = report(made.path, tmp_path / "data")["acme"]

    assert taken(found) == {"agents": 1, "messages": 1}
    assert [line["id"] for line in found["left_out"]] == ["'c1'", "'m0'", "'m1'", "'m2'", "'m3'", "'m4'"]
    assert "\\u001b" not in json.dumps(found), "nothing of it steers a terminal"
    assert {line["id"] for line in found["changed"]} == {"'a1'"}
    assert good_id not in str(found["left_out"])
    assert is_well(tmp_path / "data")


def test_what_has_no_place_here_is_counted(full: World, tmp_path: Path) -> None:
    """Contacts of nobody, windows and pokes are not taken over, and the report says how many there are."""
    connection = OriginalFile.opened(full.path)
    connection.execute("INSERT INTO agent_contacts (agent_id, contact_agent_id) VALUES ('a', 'b')")
    connection.close()

    found = run(full.path, tmp_path / "data", "--json")

    assert json.loads(found.stdout)["not_taken_over"] == {"contacts of agents that are not in the file": 1}


def test_write_ahead_log_beside_the_file_is_read(tmp_path: Path) -> None:
    """What a killed original left in its log is taken, and neither file is touched."""
    made = OriginalFile(tmp_path / "live.db")
    made.connection.execute("PRAGMA journal_mode = WAL").fetchall()
    made.connection.wal_autocheckpoint(0)
    made.send("acme", "a", ["b"], "in the log")
    for suffix in ("", "-wal"):
        (tmp_path / f"old.db{suffix}").write_bytes((tmp_path / f"live.db{suffix}").read_bytes())
    made.close()
    before = content(tmp_path)

    found = report(tmp_path / "old.db", tmp_path / "data")

    assert taken(found["acme"]) == {"messages": 1}
    assert {path: text for path, text in content(tmp_path).items() if "data" not in path} == before


def _foreign(path: Path) -> None:
    connection = OriginalFile.opened(path)
    connection.execute("CREATE TABLE t (a)")
    connection.close()


def _in_utf16(path: Path) -> None:
    connection = OriginalFile.opened(path)
    connection.execute("PRAGMA encoding = 'UTF-16'")
    connection.execute("CREATE TABLE messages (a)")
    connection.close()


def _damaged(path: Path) -> None:
    small_world(path)
    pages = path.read_bytes()
    path.write_bytes(pages[:8192] + os.urandom(len(pages) - 8192))


def _cut(path: Path) -> None:
    small_world(path)
    path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        pytest.param(lambda _path: None, "there is no file", id="missing"),
        pytest.param(lambda path: path.write_bytes(b""), "not a file of the original", id="empty"),
        pytest.param(lambda path: path.write_text("hello" * 1000), "cannot be read as SQLite", id="text"),
        pytest.param(_foreign, "not a file of the original service", id="foreign"),
        pytest.param(_in_utf16, "UTF-16", id="utf16"),
        pytest.param(_damaged, "", id="damaged"),
        pytest.param(_cut, "", id="cut"),
    ],
)
def test_file_that_is_no_original_is_refused(make: Callable[[Path], object], says: str, tmp_path: Path) -> None:
    """Whatever is wrong with the file is said, and nothing is made."""
    make(tmp_path / "old.db")

    found = run(tmp_path / "old.db", tmp_path / "data")

    assert found.exit_code == 3, found.output
    assert says in found.output
    assert "old.db" in found.output
    assert not list((tmp_path / "data").glob("*.db"))


def test_file_that_is_written_to_meanwhile_is_refused(full: World, tmp_path: Path) -> None:
    """Nothing half read is stored: a change of the file during the import is noticed before the commit."""
    with opened(full.path) as original:
        original.check_unchanged()
        full.path.write_bytes(full.path.read_bytes() + b"x")
        with pytest.raises(NotTheOriginals, match="stop the original service"):
            original.check_unchanged()
