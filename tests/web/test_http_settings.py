"""A project's switches over HTTP (design.md 6)."""

import httpx
from calls import good, nothing_stored, refusal, register


def where(project: str) -> str:
    """Return the path of a project's settings."""
    return f"/api/projects/{project}/settings"


def test_settings_are_read_and_changed(client: httpx.Client, project: str) -> None:
    """Defaults at first; what is sent changes, and the rest stays."""
    register(client, project, "anna")
    assert good(client.get(where(project))) == {
        "project": project, "case_folding": False, "branch_policy": "any", "symbol_floor": "warn",
        "strict_references": False, "strict_status": False, "retention": [], "archive_trimmed": True,
    }  # fmt: skip

    changed = good(client.patch(where(project), json={"symbol_floor": "block", "agent_id": "anna", "reason": "IM-1"}))

    assert (changed["symbol_floor"], changed["branch_policy"]) == ("block", "any")
    assert good(client.get(where(project))) == changed


def test_settings_of_a_project_that_does_not_exist_are_the_defaults(client: httpx.Client, project: str) -> None:
    """Reading makes no project; a name with slashes is a name."""
    with nothing_stored(client, project):
        assert good(client.get(where("no/such/project")))["project"] == "no/such/project"


def test_settings_that_are_none_are_refused(client: httpx.Client, project: str) -> None:
    """A word that is no choice, a switch that there is not, a body that is none: 400 with the field."""
    wrong = refusal(client.patch(where(project), json={"symbol_floor": "maybe"}), 400, "invalid_request")
    assert wrong["fields"] == [{"field": "symbol_floor", "problem": "use one of warn, block, off"}]
    mistyped = refusal(client.patch(where(project), json={"case_foldin": True}), 400, "invalid_request")
    assert "case_folding" in mistyped["message"]
    refusal(client.patch(where(project)), 400, "malformed_json")
