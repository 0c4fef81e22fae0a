"""What the original's clients expect of messages and threads: contract.md 1.3, 1.4 and 5.4 to 5.6.

The deviations of design.md 9 are named beside their tests.
"""

import httpx
import pytest
from calls import Json, events, good, head, inbox, refusal, register, send


def counts(client: httpx.Client, project: str, agent: str) -> Json:
    found: Json = good(client.get(f"/api/inbox/{agent}/counts", params={"project": project}))
    return found


def test_send_to_several_answers_with_a_delivery_each(client: httpx.Client, project: str) -> None:
    """The answer has id, cursor, and an object of deliveries where several recipients were addressed."""
    body = {
        "project": project, "from": "a1", "to": ["b1", "c1"], "thread_id": "t-7", "subject": "hi",
        "body": "please review", "ack_required": True,
    }  # fmt: skip

    found = good(client.post("/api/messages", json=body))

    assert list(found)[:3] == ["message_id", "cursor", "delivery"]
    assert found["delivery"] == {"b1": "async", "c1": "async"}
    assert found["cursor"] == head(client, project)


def test_send_to_one_answers_with_a_plain_delivery(client: httpx.Client, project: str) -> None:
    """With one distinct recipient the delivery is a string."""
    assert send(client, project, "a1", ["b1", "b1"])["delivery"] == "async"


def test_inbox_shows_the_original_fields_in_order(client: httpx.Client, project: str) -> None:
    """An inbox message has the original's fields; empty ones that the original omits are omitted."""
    full = send(
        client, project, "a1", ["b1", "c1"],
        thread_id="t-7", cc=["d1"], subject="hi", topic=" Deploy ", body="please", importance="high", ack_required=True,
    )  # fmt: skip
    send(client, project, "a1", ["b1"])

    first, second = inbox(client, project, "b1")

    assert list(first)[:13] == [
        "id", "thread_id", "project", "from", "to", "cc", "subject", "topic", "body", "importance", "ack_required",
        "created_at", "cursor",
    ]  # fmt: skip
    assert (first["id"], first["cursor"], first["topic"]) == (full["message_id"], full["cursor"], "deploy")
    assert list(second)[:7] == ["id", "thread_id", "project", "from", "to", "body", "created_at"]
    assert (second["thread_id"], second["body"]) == ("", "")
    assert not {"cc", "bcc", "subject", "topic", "importance", "ack_required"} & set(second)


def test_inbox_reads_on_strictly_after_the_cursor(client: httpx.Client, project: str) -> None:
    """`since_cursor` is exclusive, pages go up, and an empty page echoes the cursor."""
    sent = [send(client, project, "a1", ["b1"], body=str(number))["cursor"] for number in range(3)]

    page = good(client.get("/api/inbox/b1", params={"project": project, "limit": 2}))
    rest = good(client.get("/api/inbox/b1", params={"project": project, "since_cursor": page["cursor"]}))
    empty = good(client.get("/api/inbox/b1", params={"project": project, "since_cursor": 10**6}))

    assert [message["cursor"] for message in page["messages"]] == sent[:2]
    assert page["cursor"] == sent[1]
    assert [message["cursor"] for message in rest["messages"]] == sent[2:]
    assert empty == {"messages": [], "cursor": 10**6}


@pytest.mark.parametrize(
    "query", [{"since_cursor": "x"}, {"since_cursor": "-1"}, {"limit": "0"}, {"limit": "-5"}, {"limit": "x"}]
)
def test_inbox_takes_senseless_numbers_for_absent(client: httpx.Client, project: str, query: dict[str, str]) -> None:
    """As in the original, unparsable or non-positive numbers mean the default."""
    send(client, project, "a1", ["b1"])

    assert len(inbox(client, project, "b1", **query)) == 1


def test_inbox_of_an_address_with_a_slash_is_reached_in_both_spellings(client: httpx.Client, project: str) -> None:
    """Rest-of-path ids may hold slashes, plain or percent-encoded; slashes around them are dropped."""
    send(client, project, "a1", ["team/b1"])

    for path in ("/api/inbox/team/b1", "/api/inbox/team%2Fb1", "/api/inbox/team/b1/"):
        assert len(good(client.get(path, params={"project": project}))["messages"]) == 1


def test_reading_an_inbox_marks_nothing(client: httpx.Client, project: str) -> None:
    """Messages stay unread until their recipient says otherwise."""
    send(client, project, "a1", ["b1"])

    inbox(client, project, "b1")

    assert len(inbox(client, project, "b1", unread="true")) == 1


def test_counts_tell_total_and_unread(client: httpx.Client, project: str) -> None:
    """Total and unread agree with each other, copies included (the original's [BUG-63])."""
    sent = send(client, project, "a1", ["b1", "b1"])
    send(client, project, "a1", ["x"], cc=["b1"])
    good(client.post(f"/api/messages/{sent['message_id']}/read", json={"agent": "b1"}))

    found = counts(client, project, "b1")

    assert list(found)[:2] == ["total", "unread"]
    assert (found["total"], found["unread"]) == (2, 1)


def test_ack_and_read_count_once_for_one_recipient(client: httpx.Client, project: str) -> None:
    """The first time counts; repeating it is 200, changes nothing and logs nothing."""
    sent = send(client, project, "a1", ["b1", "c1"], ack_required=True)
    path = f"/api/messages/{sent['message_id']}/ack"
    first = good(client.post(path, json={"agent": "b1"}))
    before = head(client, project)

    again = good(client.post(path, params={"agent": "b1"}))

    assert again["ack_at"] == first["ack_at"]
    assert head(client, project) == before
    assert counts(client, project, "c1")["unacknowledged"] == 1


def test_ack_finds_the_recipient_in_body_query_or_header(client: httpx.Client, project: str) -> None:
    """Deviation: ack and read need a recipient, from the body, the query or the caller's identity."""
    sent = send(client, project, "a1", ["b1", "c1", "d1"])
    path = f"/api/messages/{sent['message_id']}/ack"

    good(client.post(path, json={"agent": "b1"}))
    good(client.post(path, json={}, params={"agent": "c1"}))
    good(client.post(path, json={}, headers={"X-Agent-ID": "d1"}))

    acked = [event["agent_id"] for event in events(client, project, type="message.ack")]
    assert acked == ["b1", "c1", "d1"]


def test_ack_by_a_stranger_or_of_an_unknown_message_is_refused(client: httpx.Client, project: str) -> None:
    """Deviation: a stranger's ack is 403 and an unknown message 404; neither is logged (the original's [BUG-57])."""
    sent = send(client, project, "a1", ["b1", "c1"])
    before = head(client, project)

    refusal(client.post(f"/api/messages/{sent['message_id']}/ack", json={"agent": "zed"}), 403, "not_a_recipient")
    refusal(client.post("/api/messages/nope/read", json={"agent": "b1"}), 404, "unknown_message")
    refusal(client.post(f"/api/messages/{sent['message_id']}/ack", json={}), 400, "invalid_request")

    assert head(client, project) == before


def test_stale_acks_list_what_is_overdue(client: httpx.Client, project: str) -> None:
    """The page has the original's fields in order, for recipients of any kind, oldest first."""
    sent = send(client, project, "a1", ["b1", "c1"], thread_id="t-7", subject="hi", body="please", ack_required=True)
    send(client, project, "a1", ["x"], cc=["b1"], ack_required=True)
    done = send(client, project, "a1", ["b1"], ack_required=True)
    send(client, project, "a1", ["b1"])
    good(client.post(f"/api/messages/{done['message_id']}/ack", json={"agent": "b1"}))

    found = good(client.get("/api/inbox/b1/stale-acks", params={"project": project, "ttl_seconds": 0}))

    assert list(found) == ["project", "agent", "ttl_seconds", "count", "messages"]
    assert (found["project"], found["agent"], found["ttl_seconds"], found["count"]) == (project, "b1", 0, 2)
    assert list(found["messages"][0]) == [
        "id", "thread_id", "project", "from", "to", "subject", "body", "created_at", "kind", "read_at", "age_seconds",
    ]  # fmt: skip
    assert found["messages"][0]["id"] == sent["message_id"]
    assert found["messages"][0]["read_at"] is None
    assert [message["kind"] for message in found["messages"]] == ["to", "cc"]


def test_stale_acks_default_to_half_an_hour(client: httpx.Client, project: str) -> None:
    """Without a time, or with a senseless one, only what is 30 minutes old is stale."""
    send(client, project, "a1", ["b1"], ack_required=True)

    for query in ({}, {"ttl_seconds": "x"}, {"ttl_seconds": "-1"}):
        found = good(client.get("/api/inbox/b1/stale-acks", params={"project": project, **query}))
        assert (found["ttl_seconds"], found["count"]) == (1800, 0)


def test_thread_list_pages_backwards_with_the_last_word(client: httpx.Client, project: str) -> None:
    """Threads come newest first, `cursor` is exclusive downwards, and the preview is 200 characters."""
    for number in range(3):
        send(client, project, "a1", ["b1"], thread_id=f"t-{number}", body="x" * 300)
    send(client, project, "b1", ["a1"], thread_id="t-0", body="ok")

    first = good(client.get("/api/threads", params={"project": project, "agent": "b1", "limit": 2}))
    second = good(client.get("/api/threads", params={"project": project, "agent": "b1", "cursor": first["cursor"]}))

    assert [thread["thread_id"] for thread in first["threads"]] == ["t-0", "t-2"]
    assert list(first["threads"][0])[:6] == [
        "thread_id", "last_cursor", "message_count", "last_from", "last_body", "last_at",
    ]  # fmt: skip
    assert first["threads"][0]["message_count"] == 2
    assert (first["threads"][0]["last_from"], first["threads"][0]["last_body"]) == ("b1", "ok")
    assert first["threads"][1]["last_body"] == "x" * 200
    assert first["cursor"] == first["threads"][-1]["last_cursor"]
    assert [thread["thread_id"] for thread in second["threads"]] == ["t-1"]


def test_thread_list_needs_an_agent(client: httpx.Client, project: str) -> None:
    """Without an agent the list is 400."""
    body = refusal(client.get("/api/threads", params={"project": project}), 400, "invalid_request")

    assert [field["field"] for field in body["fields"]] == ["agent"]


def test_thread_view_reads_in_log_order_with_whole_messages(client: httpx.Client, project: str) -> None:
    """A thread is read upwards by cursor, and shows subject and topic too (the original's [BUG-47])."""
    first = send(client, project, "a1", ["b1"], thread_id="team/t", subject="hi", topic="x", ack_required=True)
    second = send(client, project, "b1", ["a1"], thread_id="team/t")

    whole = good(client.get("/api/threads/team/t", params={"project": project}))
    rest = good(client.get("/api/threads/team%2Ft", params={"project": project, "cursor": first["cursor"]}))

    assert list(whole) == ["thread_id", "messages", "cursor"]
    assert (whole["thread_id"], whole["cursor"]) == ("team/t", second["cursor"])
    assert [message["id"] for message in whole["messages"]] == [first["message_id"], second["message_id"]]
    assert (whole["messages"][0]["subject"], whole["messages"][0]["topic"]) == ("hi", "x")
    assert whole["messages"][0]["ack_required"] is True
    assert [message["id"] for message in rest["messages"]] == [second["message_id"]]


def test_copies_reach_inbox_and_threads_of_their_recipients(client: httpx.Client, project: str) -> None:
    """Deviation: cc and bcc recipients receive the message, and the thread is theirs too."""
    send(client, project, "a1", ["b1"], cc=["c1"], bcc=["d1"], thread_id="t")

    for agent in ("b1", "c1", "d1"):
        assert len(inbox(client, project, agent)) == 1
        found = good(client.get("/api/threads", params={"project": project, "agent": agent}))
        assert [thread["thread_id"] for thread in found["threads"]] == ["t"]


def test_blind_copy_is_shown_to_its_own_recipient_and_the_sender_alone(client: httpx.Client, project: str) -> None:
    """Deviation: bcc is shown to its own recipient only, in every view (the original's [BUG-12])."""
    sent = send(client, project, "a1", ["b1"], bcc=["d1", "e1"], thread_id="t")
    path = f"/api/messages/{sent['message_id']}"

    def seen_by(reader: str | None) -> object:
        headers = {"X-Agent-ID": reader} if reader else {}
        found = good(client.get(path, params={"project": project}, headers=headers))
        thread = good(client.get("/api/threads/t", params={"project": project}, headers=headers))["messages"][0]
        assert thread.get("bcc") == found.get("bcc")
        listed = good(client.get(f"{path}/recipients", params={"project": project}, headers=headers))["recipients"]
        assert sorted(each["agent"] for each in listed if each["kind"] == "bcc") == sorted(found.get("bcc", []))
        return found.get("bcc")

    assert inbox(client, project, "d1")[0]["bcc"] == ["d1"]
    assert "bcc" not in inbox(client, project, "b1")[0]
    assert seen_by("d1") == ["d1"]
    assert seen_by("a1") == ["d1", "e1"]
    assert seen_by("b1") is None
    assert seen_by(None) is None
    assert all("'d1'" not in str(event) for event in events(client, project))


def test_resend_of_the_same_content_creates_nothing(client: httpx.Client, project: str) -> None:
    """Deviation: a repeated id with the same sender and content answers the first cursor."""
    first = send(client, project, "a1", ["b1"], id="m-1", body="x")
    before = head(client, project)

    again = send(client, project, "a1", ["b1"], id="m-1", body="x")

    assert (again["message_id"], again["cursor"], again["replayed"]) == ("m-1", first["cursor"], True)
    assert head(client, project) == before
    assert len(inbox(client, project, "b1")) == 1


def test_resend_of_other_content_updates_the_one_entry(client: httpx.Client, project: str) -> None:
    """Deviation: other content by the same sender updates the entry, with an event of its own."""
    send(client, project, "a1", ["b1"], id="m-1", body="x")

    again = send(client, project, "a1", ["b1"], id="m-1", body="y")

    assert again["updated"] is True
    received = inbox(client, project, "b1")
    assert [(message["body"], message["cursor"]) for message in received] == [("y", again["cursor"])]
    assert events(client, project)[-1]["type"] == "message.updated"


def test_resend_by_another_sender_is_refused(client: httpx.Client, project: str) -> None:
    """Deviation: nobody overwrites another's message (the original's [BUG-58])."""
    send(client, project, "a1", ["b1"], id="m-1", body="x")
    before = head(client, project)

    body = {"project": project, "from": "c1", "to": ["b1"], "id": "m-1", "body": "forged"}
    refusal(client.post("/api/messages", json=body), 409, "message_id_taken")

    assert head(client, project) == before
    assert [message["body"] for message in inbox(client, project, "b1")] == ["x"]


def test_mail_to_a_name_waits_for_whoever_registers_under_it(client: httpx.Client, project: str) -> None:
    """An address nobody has yet is kept, told of, and belongs to the agent that registers under it (design.md 6)."""
    sent = send(client, project, "a1", ["late"], body="welcome", thread_id="t")
    assert sent["unregistered"] == ["late"]

    late = register(client, project, "late")

    for address in ("late", late["agent_id"]):
        assert [message["id"] for message in inbox(client, project, address)] == [sent["message_id"]]
    assert counts(client, project, late["agent_id"])["unread"] == 1


def test_message_keeps_metadata_and_attachments(client: httpx.Client, project: str) -> None:
    """Metadata and attachments (name and path) are stored and returned."""
    attached = [{"name": "log", "path": "/srv/log.txt"}]
    send(client, project, "a1", ["b1"], metadata={"k": "v"}, attachments=attached)

    received = inbox(client, project, "b1")[0]

    assert (received["metadata"], received["attachments"]) == ({"k": "v"}, attached)


def test_transport_of_the_original_is_answered_in_its_words(client: httpx.Client, project: str) -> None:
    """An unknown transport is 400 `invalid transport`; live to a stranger is denied, since live policies are of contacts only."""
    body = {"project": project, "from": "a1", "to": ["b1"]}

    wrong = refusal(client.post("/api/messages", json={**body, "transport": "pigeon"}), 400)
    live = refusal(client.post("/api/messages", json={**body, "transport": "live"}), 403, "policy_denied")

    assert wrong["error"] == "invalid transport"
    assert live["denied"] == ["b1"]
    assert head(client, project) == 0
