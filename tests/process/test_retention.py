"""Retention against real servers: the runbook of docs/operations.md, 410 and 4410, and a kill between archive and trim."""

import gzip
import json
import re
import shlex
from pathlib import Path

import httpx
import pytest
from calls import Json, events, good, inbox, refusal, send
from server_process import REPOSITORY, ServerProcess, run_command, until
from sockets import handshake, next_events, open_socket

ACME = "acme"


def where(project: str = ACME) -> str:
    """Return the path of the trimming of a project's log."""
    return f"/api/projects/{project}/retention"


def keep(client: httpx.Client, project: str, count: int) -> Json:
    """Trim the log to its newest events, without an archive, and return the answer."""
    done: Json = good(client.post(where(project), json={"rules": [{"keep_events": count}], "archive": False}))
    return done


def archived(data: Path) -> list[int]:
    """Return the cursors in all archive files of a data directory, each line complete, in order."""
    found: set[int] = set()
    for path in (data / "archive").glob("*/*.jsonl.gz"):
        text = gzip.decompress(path.read_bytes())
        assert text.endswith(b"\n")
        found.update(json.loads(line)["cursor"] for line in text.splitlines())
    return sorted(found)


def runbook() -> list[list[str]]:
    """Return the commands of the runbook, split as a shell would."""
    page = (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8")
    section = page.split("## Retention\n")[1].split("\n## ")[0]
    lines = [line for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL) for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("intermute ")]


def test_retention_expired_cursor_is_410_with_the_oldest(client: httpx.Client, project: str) -> None:
    """Below the oldest cursor 410 says where to go on; there, and without a cursor, is exactly the rest."""
    sent = [send(client, project, "a1", ["b1"])["cursor"] for _ in range(20)]

    done = keep(client, project, 5)

    assert (done["trimmed"], done["oldest_cursor"], done["has_more"]) == (15, sent[14], False)
    asked = {"project": project, "since_cursor": "3"}
    assert refusal(client.get("/api/events", params=asked), 410, "cursor_expired")["oldest_cursor"] == sent[14]
    rest = events(client, project, since=sent[14])
    assert [event["cursor"] for event in rest] == [*sent[15:], sent[-1] + 1]
    assert good(client.get("/api/events", params={"project": project}))["events"] == rest
    assert len(inbox(client, project, "b1")) == 20


async def test_retention_socket_below_the_oldest_is_refused(
    server: ServerProcess, client: httpx.Client, project: str
) -> None:
    """A handshake with an expired cursor gets the 410 before any 101; one at the oldest gets the rest."""
    sent = [send(client, project, "a1", ["b1"])["cursor"] for _ in range(5)]
    keep(client, project, 2)

    status, _, body, bare = handshake(server, f"/ws/events?project={project}&since_cursor=1")
    bare.close()
    assert (status, body["error"], body["oldest_cursor"]) == (410, "cursor_expired", sent[2])
    async with open_socket(server, "/ws/events", project=project, since_cursor=sent[2]) as opened:
        assert [event["cursor"] for event in await next_events(opened, 3)] == [*sent[3:], sent[-1] + 1]


async def test_retention_live_socket_goes_on(server: ServerProcess, client: httpx.Client, project: str) -> None:
    """A reader that has seen what is trimmed is not bothered: it hears of the trim and of all that follows."""
    async with open_socket(server, "/ws/events", project=project) as opened:
        send(client, project, "a1", ["b1"])
        await next_events(opened, 1)
        keep(client, project, 0)
        send(client, project, "a1", ["b1"])

        assert [event["type"] for event in await next_events(opened, 2)] == ["project.trimmed", "message.created"]


def test_retention_dry_run_over_http_changes_nothing(client: httpx.Client, project: str) -> None:
    """It counts what would go, and the log is as before; a project that does not exist stays so."""
    for _ in range(5):
        send(client, project, "a1", ["b1"])
    before = events(client, project)

    told = good(client.post(where(project), json={"rules": [{"keep_events": 2}], "dry_run": True}))

    assert (told["trimmed"], told["by_type"], told["archives"]) == (3, {"message.created": 3}, [])
    assert events(client, project) == before
    assert good(client.post(where("nowhere"), json={"rules": [{"keep_events": 0}]}))["trimmed"] == 0
    assert "nowhere" not in [each["project"] for each in good(client.get("/api/projects"))["projects"]]


def test_retention_with_a_key_says_who_trims(acme: httpx.Client) -> None:
    """The key alone is nobody: 400 with what to do; to look, or with a name, it is enough."""
    send(acme, ACME, "a1", ["b1"])

    refusal(acme.post(where(), json={"rules": []}), 400, "invalid_request")
    good(acme.post(where(), json={"rules": [{"keep_events": 0}], "dry_run": True}))
    good(acme.post(where(), json={"rules": [], "agent_id": "a1"}))


def test_retention_command_leaves_an_audit_record(tmp_path: Path) -> None:
    """Who and why, as the flags say, whether a server does it or the command itself."""
    wish = ("retention", "--project", ACME, "--keep-events", "0", "--no-archive", "--data", str(tmp_path / "data"))
    with ServerProcess(tmp_path) as server, server.client() as client:
        send(client, ACME, "a1", ["b1"])
        by_server = run_command(*wish, "--agent", "a1", "--reason", "room", cwd=tmp_path, INTERMUTE_URL=server.url)
        send(client, ACME, "a1", ["b1"])
        assert server.stop() == 0
    by_itself = run_command(*wish, cwd=tmp_path)
    assert (by_server.returncode, by_itself.returncode) == (0, 0), by_server.stderr + by_itself.stderr

    with ServerProcess(tmp_path) as server, server.client() as client:
        records = good(client.get("/api/audit", params={"project": ACME}))["records"]

    assert [(each["action"], each["actor"], each["reason"]) for each in records] == [
        ("project.trimmed", "a1", "room"), ("project.trimmed", "operator", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "rule",
    [{"kind": "tasks.*", "keep_days": 1}, {"kind": "m*", "keep_days": 1}, {"keep_days": -1}, {"keep": 1}],
    ids=["unknown-kind", "no-kind", "negative", "unknown-field"],
)
def test_retention_wrong_rules_are_refused(client: httpx.Client, project: str, rule: dict[str, object]) -> None:
    """400 with the field, in the settings and for one trim, and nothing is trimmed."""
    send(client, project, "a1", ["b1"])

    refusal(client.post(where(project), json={"rules": [rule]}), 400, "invalid_request")
    refusal(client.patch(f"/api/projects/{project}/settings", json={"retention": [rule]}), 400, "invalid_request")

    assert len(events(client, project)) == 1


def test_retention_runbook_does_what_it_says(tmp_path: Path) -> None:
    """The commands of docs/operations.md in their order: while a server runs, then without one."""
    commands = runbook()
    assert [("--dry-run" in each, "--compact" in each) for each in commands] == [
        (True, False), (False, False), (False, False), (False, True),
    ]  # fmt: skip
    told = []
    with ServerProcess(tmp_path) as server, server.client() as client:
        for number in range(30):
            send(client, ACME, "a1", ["b1"], body=f"{number} " + "x" * 2000)
        for command in commands[:3]:
            command[command.index("--keep-days") + 1] = "0"  # The page keeps days; nothing here is that old.
            done = run_command(*command[1:], "--data", str(server.data), cwd=tmp_path, INTERMUTE_URL=server.url)
            assert done.returncode == 0, done.stderr
            told.append(done.stdout)
        busy = run_command(*commands[3][1:], "--data", str(server.data), cwd=tmp_path, INTERMUTE_URL=server.url)
        assert (busy.returncode, "stop it" in busy.stderr) == (3, True)
        assert server.stop() == 0
    done = run_command(*commands[3][1:], "--data", str(tmp_path / "data"), cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert re.search(r"^file: \d+ bytes before, \d+ bytes now$", done.stdout, re.MULTILINE)
    assert "30 event(s) would be trimmed" in told[0]
    assert archived(tmp_path / "data")[:30] == list(range(1, 31))
    with ServerProcess(tmp_path) as server, server.client() as client:
        assert len(inbox(client, ACME, "b1")) == 30


def test_retention_killed_between_archive_and_trim_loses_nothing(tmp_path: Path) -> None:
    """Killed once its first archive file is there, the log and the archive together still have every event."""
    with ServerProcess(tmp_path) as server, server.client() as client:
        for _ in range(40):
            send(client, ACME, "a1", ["b1"], body="x" * 200)
        body = b'{"rules":[{"keep_events":0}]}'
        with server.connect() as bare:
            bare.sendall(
                f"POST {where()} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            until(lambda: archived(server.data), "the archive")
            server.kill()

    with ServerProcess(tmp_path) as server, server.client() as client:
        rest = good(client.get("/api/events", params={"project": ACME, "limit": 1000}))["events"]
        left = {event["cursor"] for event in rest}
        assert set(range(1, 41)) <= left | set(archived(server.data))
        oldest = good(client.post(where(), json={"rules": [], "dry_run": True}))["oldest_cursor"]
        assert set(range(oldest + 1, 41)) <= left, "no gap after the oldest cursor"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--kind", "message.*"], 2, "--keep-days"),
        (["--kind", "tasks.*", "--keep-days", "1"], 2, "no event is of kind"),
        (["--keep-events", "-1"], 2, "--keep-events"),
        (["--keep-events", "1", "--agent", "a\nb"], 2, "agent"),
        (["--keep-events", "1"], 1, "there is no project"),
    ],
    ids=["kind-alone", "unknown-kind", "negative", "no-agent", "unknown-project"],
)
def test_retention_command_refuses_what_it_cannot_do(
    tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    """Wrong usage is 2 with what to do, a project that is not there 1, and no file is made."""
    done = run_command("retention", "--project", ACME, "--data", str(tmp_path), *arguments, cwd=tmp_path)

    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert not list(tmp_path.glob("*.db"))


def test_retention_help_has_examples(tmp_path: Path) -> None:
    """--help shows how it is used, and every flag that the page names."""
    shown = run_command("retention", "--help", cwd=tmp_path).stdout

    assert shown.count("  intermute retention --project acme") >= 4
    assert {word for command in runbook() for word in command if word.startswith("--")} <= set(shown.split())
