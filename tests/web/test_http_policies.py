"""Contact policies as the original's clients know them, field by field, and what is new beside them (contract.md 1.2, 1.3)."""

from typing import Any

import httpx
import pytest
from calls import good, refusal, register

POLICIES = ("open", "auto", "contacts_only", "block_all")


def agent(client: httpx.Client, project: str, name: str, policy: str | None = None) -> str:
    """Register an agent, perhaps with a policy, and return its id."""
    found = str(register(client, project, name)["agent_id"])
    if policy is not None:
        good(client.put(f"/api/agents/{found}/policy", json={"policy": policy}))
    return found


def post(client: httpx.Client, project: str, to: list[str], **more: Any) -> httpx.Response:  # Any: JSON.
    """Send something from anna."""
    return client.post("/api/messages", json={"project": project, "from": "anna", "to": to, "body": "x", **more})


def test_policy_is_answered_with_the_original_fields(client: httpx.Client, project: str) -> None:
    """GET, POST and PUT answer the three fields in order and nothing else; an unknown agent has the defaults."""
    ben = agent(client, project, "ben")
    path = f"/api/agents/{ben}/policy"
    open_to_begin_with = {"agent_id": ben, "policy": "open", "live_contact_policy": "contacts_only"}

    assert list(good(client.get(path)).items()) == list(open_to_begin_with.items())
    assert good(client.get(f"/api/agents/nobody/policy?project={project}")) == {
        **open_to_begin_with,
        "agent_id": "nobody",
    }
    for policy in POLICIES:
        for method in ("POST", "PUT"):
            changed = good(client.request(method, path, json={"policy": policy, "live_contact_policy": ""}))
            assert changed == {**open_to_begin_with, "policy": policy}
    assert good(client.get(path))["policy"] == POLICIES[-1]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "policy or live_contact_policy required"),
        ({"policy": "", "live_contact_policy": ""}, "policy or live_contact_policy required"),
        ({"policy": "x"}, "invalid policy: must be open, auto, contacts_only, or block_all"),
        (
            {"policy": "open", "live_contact_policy": "x"},
            "invalid live_contact_policy: must be open, auto, contacts_only, or block_all",
        ),
    ],
)
def test_policy_is_refused_in_the_original_words(
    client: httpx.Client, project: str, body: dict[str, str], error: str
) -> None:
    """400 with the original's text under `error`, ours beside it."""
    path = f"/api/agents/{agent(client, project, 'ben')}/policy"

    for method in ("POST", "PUT"):
        assert refusal(client.request(method, path, json=body), 400)["error"] == error


def test_policy_of_an_unknown_agent_cannot_be_set(client: httpx.Client, project: str) -> None:
    """404, where the original has an empty 500."""
    body = {"policy": "open", "project": project}

    assert refusal(client.put("/api/agents/nobody/policy", json=body), 404)["error"] == "unknown_agent"


def test_send_that_all_deny_is_the_original_403(client: httpx.Client, project: str) -> None:
    """`error` and `denied` are the original's; `denials` say why."""
    agent(client, project, "ben", "block_all")

    body = refusal(post(client, project, ["ben"]), 403)

    assert (body["error"], body["denied"]) == ("policy_denied", ["ben"])
    assert [(each["agent"], each["reason"]) for each in body["denials"]] == [("ben", "blocked")]


def test_send_that_some_deny_is_the_original_200(client: httpx.Client, project: str) -> None:
    """The first four fields are the original's, in its order."""
    agent(client, project, "ben", "contacts_only")

    found = good(post(client, project, ["ben", "carl", "dora"]))

    assert list(found)[:4] == ["message_id", "cursor", "denied", "delivery"]
    assert (found["denied"], found["delivery"]) == (["ben"], {"carl": "async", "dora": "async"})


def test_send_without_denial_says_nothing_of_it(client: httpx.Client, project: str) -> None:
    """`denied` is left out where nobody is, as in the original."""
    assert list(good(post(client, project, ["carl"])))[:3] == ["message_id", "cursor", "delivery"]


def test_contact_is_asked_granted_and_removed(client: httpx.Client, project: str) -> None:
    """The whole way: denied, asked, granted, delivered, removed, denied."""
    anna, ben = agent(client, project, "anna"), agent(client, project, "ben", "contacts_only")
    refusal(post(client, project, ["ben"]), 403)

    good(client.post(f"/api/agents/{anna}/contacts/{ben}/request", json={"reason": "the parser"}))
    assert [each["state"] for each in good(client.get(f"/api/agents/{ben}/contacts"))["contacts"]] == ["requested"]
    good(client.post(f"/api/agents/{ben}/contacts/{anna}/approve"))
    good(post(client, project, ["ben"]))
    assert good(client.get(f"/api/agents/{ben}/contacts/{anna}"))["state"] == "accepted"
    good(client.delete(f"/api/agents/{ben}/contacts/{anna}"))

    refusal(post(client, project, ["ben"]), 403)


def test_held_message_is_approved(client: httpx.Client, project: str) -> None:
    """What was kept is listed with its beginning, and comes into the inbox when its recipient says so."""
    ben = agent(client, project, "ben", "contacts_only")
    sent = good(post(client, project, ["ben"], on_denied="hold"))
    assert (sent["delivery"], sent["held"]) == ("held", ["ben"])
    [waiting] = good(client.get(f"/api/inbox/{ben}/held"))["held"]
    assert (waiting["from"], waiting["preview"]) == ("anna", "x")

    approved = good(
        client.post(f"/api/messages/{sent['message_id']}/approve", json={"agent": "ben", "project": project})
    )

    [message] = good(client.get(f"/api/inbox/{ben}"))["messages"]
    assert (message["id"], message["cursor"]) == (sent["message_id"], approved["cursor"])
    refused = client.post(f"/api/messages/{sent['message_id']}/decline", json={"agent": "ben", "project": project})
    assert refusal(refused, 404)["error"] == "not_held"


def test_wish_for_the_denied_is_one_of_two(client: httpx.Client, project: str) -> None:
    """A mistyped `on_denied` is refused by name: what was written would be lost."""
    body = refusal(post(client, project, ["ben"], on_denied="keep"), 400)

    assert [each["field"] for each in body["fields"]] == ["on_denied"]
