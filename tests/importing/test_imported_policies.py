"""Contact policies of the original's agents: who was let in before is let in now, and nobody else."""

from pathlib import Path

import pytest
from calls import good
from click.testing import CliRunner
from original_files import OriginalFile, small_world
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
