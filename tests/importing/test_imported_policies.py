"""Contact policies and lists of the original's agents: who was let in before is let in now, and nobody else."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from calls import Json, good, inbox, refusal, send
from click.testing import CliRunner
from original_files import OriginalFile, World, small_world
from server_process import ServerProcess

from intermute.cli.main import cli


@pytest.mark.parametrize(
    ("column", "stored", "policy"),
    [
        ("contact_policy", "block_all", {"policy": "block_all", "live_contact_policy": "contacts_only"}),
        ("live_contact_policy", "open", {"policy": "open", "live_contact_policy": "open"}),
        ("contact_policy", "", {"policy": "open", "live_contact_policy": "contacts_only"}),
        ("contact_policy", "friends", {"policy": "block_all", "live_contact_policy": "contacts_only"}),
        ("contact_policy", b"\xff", {"policy": "block_all", "live_contact_policy": "contacts_only"}),
    ],
)
def test_policies_come_over(tmp_path: Path, column: str, stored: str | bytes, policy: dict[str, str]) -> None:
    """Who let nobody in before lets nobody in now, and a policy that cannot be read lets nobody in either."""
    full = small_world(tmp_path / "old.db")
    connection = OriginalFile.opened(full.path)
    connection.execute(f"UPDATE agents SET {column} = ? WHERE name = 'anna'", (stored,))
    anna = connection.execute("SELECT id FROM agents WHERE name = 'anna' AND project = 'acme'").get
    connection.close()

    done = CliRunner().invoke(cli, ["import-original", str(full.path), "--data", str(tmp_path / "data")])
    assert done.exit_code == 0, done.output

    with ServerProcess(tmp_path) as server, server.client() as client:
        found = good(client.get(f"/api/agents/{anna}/policy", params={"project": "acme"}))
    assert {**policy, "agent_id": anna} == found


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A small original in which anna takes messages from contacts alone, and has ben in her list."""
    made = small_world(tmp_path / "old.db")
    change(made, "UPDATE agents SET contact_policy = 'contacts_only' WHERE id = :anna", anna=made.anna)
    return made


def change(world: World, sql: str, **values: Any) -> None:  # Any: what apsw binds.
    """Write to the file of the original."""
    connection = OriginalFile.opened(world.path)
    connection.execute(sql, values)
    connection.close()


def contacts_in(world: World, data: Path) -> Json:
    """Import, and return what became of the contacts of `acme`, with the lines about them."""
    done = CliRunner().invoke(cli, ["import-original", str(world.path), "--data", str(data), "--json"])
    assert done.exit_code == 0, done.output
    [found] = [each for each in json.loads(done.stdout)["projects"] if each["project"] == "acme"]
    left_out = [each["says"] for each in found["left_out"] if each["kind"] == "agent_contacts"]
    return {**found["kinds"]["agent_contacts"], "says": left_out}


def test_contacts_come_over(world: World, tmp_path: Path) -> None:
    """Who was in an agent's list reaches it, since when it was so; who was not is denied; a second run finds all of it here."""
    assert contacts_in(world, tmp_path / "data") == {"taken": 1, "already_here": 0, "left_out": 0, "says": []}
    assert contacts_in(world, tmp_path / "data") == {"taken": 0, "already_here": 1, "left_out": 0, "says": []}

    with ServerProcess(tmp_path) as server, server.client() as client:
        [listed] = good(client.get(f"/api/agents/{world.anna}/contacts", params={"project": "acme"}))["contacts"]
        sent = send(client, "acme", world.ben, [world.anna], body="let in")
        stranger = client.post(
            "/api/messages", json={"project": "acme", "from": "carl", "to": [world.anna], "body": "x"}
        )
        assert refusal(stranger, 403)["denied"] == [world.anna]
        assert [each["id"] for each in inbox(client, "acme", world.anna, since_cursor=str(sent["cursor"] - 1))] == [
            sent["message_id"]
        ]
    assert (listed["contact_id"], listed["state"]) == (world.ben, "accepted")
    assert listed["since"].startswith((world.made_at + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S"))


def test_contact_that_was_taken_out_does_not_come_back(world: World, tmp_path: Path) -> None:
    """Importing once more undoes nothing that an agent has decided here."""
    contacts_in(world, tmp_path / "data")
    with ServerProcess(tmp_path) as server, server.client() as client:
        good(client.delete(f"/api/agents/{world.anna}/contacts/{world.ben}", params={"project": "acme"}))
        assert server.stop() == 0

    again = contacts_in(world, tmp_path / "data")

    assert again == {
        "taken": 0, "already_here": 0, "left_out": 1, "says": ["its agent was here before, and its list is its own"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ("elsewhere", "the contact is of another project, or was left out itself"),
        ("anna", "other: is yourself: you always reach yourself"),
        ("a\nb", "other: expected str that is one line with at least one visible character and no control characters"),
    ],
)
def test_contact_that_could_not_be_made_here_stays_out(world: World, tmp_path: Path, other: str, says: str) -> None:
    """Neither an agent of another project nor oneself nor what is no address is let in; the rest comes over."""
    change(
        world,
        "INSERT INTO agents (id, name, project, created_at, last_seen) VALUES ('elsewhere', 'x', 'umbra', '', '')",
    )
    change(
        world,
        "INSERT INTO agent_contacts (agent_id, contact_agent_id) VALUES (:anna, :other)",
        anna=world.anna,
        other=world.anna if other == "anna" else other,
    )

    assert contacts_in(world, tmp_path / "data") == {"taken": 1, "already_here": 0, "left_out": 1, "says": [says]}


def test_contacts_of_an_agent_are_of_its_project(world: World, tmp_path: Path) -> None:
    """The original's list has no project, so one agent's never comes into another's project, nor a nameless one into any."""
    change(world, "INSERT INTO agents (id, name, project, created_at, last_seen) VALUES ('u1', 'x', 'umbra', '', '')")
    change(world, "INSERT INTO agent_contacts (agent_id, contact_agent_id) VALUES ('u1', 'carl'), ('nobody', 'carl')")

    assert contacts_in(world, tmp_path / "data")["taken"] == 1

    with ServerProcess(tmp_path) as server, server.client() as client:
        [listed] = good(client.get("/api/agents/u1/contacts", params={"project": "umbra"}))["contacts"]
        assert {each["project"] for each in good(client.get("/api/projects"))["projects"]} == {"acme", "umbra"}
    assert (listed["contact_id"], listed["name"]) == ("carl", "carl")
