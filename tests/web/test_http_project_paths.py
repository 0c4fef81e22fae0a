"""Projects that are named in the path (design.md 6): the path is the whole of the name, and it is never empty."""

import httpx
import pytest
from calls import good, nothing_stored, refusal


@pytest.mark.parametrize("what", ["settings", "symbols"])
def test_blank_name_in_the_path_is_no_project(client: httpx.Client, what: str) -> None:
    """Nobody reads or changes `default` by a name that came out empty."""
    with nothing_stored(client, "default"):
        refusal(client.get(f"/api/projects/%20/{what}"), 400, "invalid_project")
        refusal(client.delete("/api/projects/%20/symbols"), 400, "invalid_project")
        refusal(client.patch("/api/projects/%20/settings", json={"symbol_floor": "off"}), 400, "invalid_project")


@pytest.mark.parametrize("what", ["settings", "symbols"])
def test_foreign_project_in_the_path_is_refused(acme: httpx.Client, what: str) -> None:
    """A key opens its own project, and `project` elsewhere in the call changes nothing about it."""
    good(acme.get(f"/api/projects/acme/{what}"))
    refusal(acme.get(f"/api/projects/umbra/{what}"), 403, "foreign_project")
    refusal(acme.get(f"/api/projects/umbra/{what}", params={"project": "acme"}), 403, "foreign_project")
    refusal(
        acme.patch("/api/projects/umbra/settings", json={"project": "acme", "agent_id": "a"}), 403, "foreign_project"
    )
    body = {"project": "acme", "agent_id": "a", "commit": "c", "files": []}
    refusal(acme.put("/api/projects/umbra/symbols", json=body), 403, "foreign_project")
