"""The runbooks of docs/operations.md, step by step against real servers: backup under load, restore, quarantine (G18, G21)."""

import json
import re
import shlex
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apsw
import httpx
import pytest
from calls import Json, events, good, inbox, refusal, register, release, reserve, send
from click.testing import CliRunner
from server_process import REPOSITORY, ServerProcess, run_command, until

from intermute.cli.main import cli
from intermute.core.ids import project_digest

WRITERS = 4
BACKUPS = 3


def runbook(title: str) -> list[list[str]]:
    """Return the commands of a section of the page, without `intermute`, with the directories of the tests put in."""
    page = (REPOSITORY / "docs" / "operations.md").read_text()
    section = page.split(f"\n## {title}\n")[1].split("\n## ")[0]
    lines = "".join(re.findall(r"```sh\n(.*?)```", section, re.DOTALL)).splitlines()
    return [
        shlex.split(line.replace("./intermute-data", "data"))[1:] for line in lines if line.startswith("intermute ")
    ]


def write_until(server: ServerProcess, stop: threading.Event, name: str) -> list[Json]:
    """Send messages without pause until told to stop, and return what was acknowledged."""
    told: list[Json] = []
    with server.client() as client:
        while not stop.is_set():
            told.append(send(client, "acme", name, ["reader"], body=f"{name} {len(told)}"))
    return told


def test_backup_under_load_is_a_prefix_and_comes_back_as_that(tmp_path: Path) -> None:
    """While four clients write: each backup is a state after some commit, with the hash that the live log has there."""
    made: list[Json] = []
    stop = threading.Event()
    with ServerProcess(tmp_path) as running:
        with ThreadPoolExecutor(WRITERS) as threads:
            writers = [threads.submit(write_until, running, stop, f"w{number}") for number in range(WRITERS)]
            with running.client() as local:
                until(lambda: len(events(local, "acme")) > 50, "some writes")
            for number in range(BACKUPS):
                found = run_command("backup", f"backup-{number}", "--data", "data", cwd=tmp_path)
                assert found.returncode == 0, found.stderr
                made.append(
                    json.loads((tmp_path / f"backup-{number}" / f"{project_digest_of('acme')}.json").read_text())
                )
            stop.set()
            told = [each for writer in writers for each in writer.result()]
        with running.client() as local:
            log = whole_log(local)
            assert good(local.get("/health?project=acme"))["projects"][0]["chain"]["head"] == log[-1]["cursor"]
        assert running.stop() == 0

    live = apsw.Connection(str(next((tmp_path / "data").glob("*.db"))))
    hashes = {int(row[0]): str(row[1]) for row in live.execute("SELECT cursor, lower(hex(hash)) FROM events")}
    live.close()
    assert {each["cursor"] for each in told} <= set(hashes)
    assert made[0]["head"] < made[-1]["head"], "it was written meanwhile"
    assert [each["head_hash"] for each in made] == [hashes[each["head"]] for each in made]

    target = tmp_path / f"backup-{BACKUPS - 1}"
    assert run_command("restore", str(target), "--data", "other/data", cwd=tmp_path).returncode == 0
    with ServerProcess(tmp_path / "other") as restored, restored.client() as local:
        again = whole_log(local)
        assert again[:-1] == [event for event in log if event["cursor"] <= made[-1]["head"]]
        assert (again[-1]["type"], again[-1]["restored_cursor"]) == ("project.restored", made[-1]["head"])
        expected = {each["message_id"] for each in log if each["cursor"] <= made[-1]["head"]}
        received: list[Json] = []
        while page := inbox(
            local, "acme", "reader", limit="1000", since_cursor=str(received[-1]["cursor"] if received else 0)
        ):
            received += page
        assert {each["id"] for each in received} == expected, "the tables are of the same moment as the log"


def project_digest_of(name: str) -> str:
    """Return the name of the project's file."""
    return project_digest(name)  # type: ignore[arg-type] # a name is text.


def whole_log(client: httpx.Client) -> list[Json]:
    """Return every event of the project."""
    log: list[Json] = []
    while page := events(client, "acme", log[-1]["cursor"] if log else 0):
        log += page
    return log


def test_runbooks_of_backup_and_restore(tmp_path: Path) -> None:
    """Backup while serving; a running server is not restored over; stopped it is, and then no fence comes twice."""
    backup, restore = runbook("Backup"), runbook("Restore")
    with ServerProcess(tmp_path) as running, running.client() as local:
        register(local, "acme", "anna")
        held = reserve(local, "acme", "anna", "src/a.py")
        codes = [run_command(*command, cwd=tmp_path).returncode for command in backup]
        assert codes == [0, 0]
        undone = reserve(local, "acme", "anna", "src/b.py")
        refused = run_command(*restore[1], cwd=tmp_path)
        assert (refused.returncode, "stop it" in refused.stderr) == (3, True)
        seen = whole_log(local)[-1]["cursor"]
        assert running.stop() == 0

    codes = [run_command(*command, cwd=tmp_path).returncode for command in restore]

    assert codes == [0, 0, 0]
    with ServerProcess(tmp_path) as again, again.client() as local:
        assert [event["type"] for event in events(local, "acme", seen)] == ["project.restored"]
        listed = good(local.get("/api/reservations?project=acme"))["reservations"]
        assert [each["id"] for each in listed] == [held["id"]]
        new = reserve(local, "acme", "ben", "src/b.py")
        assert new["fence"] > undone["fence"]
        asked = [
            {"project": "acme", "reservation_id": each["id"], "fence": each["fence"]} for each in (undone, held, new)
        ]
        standings = [good(local.post("/api/reservations/validate", json=each))["reason"] for each in asked]
        assert standings == ["unknown", "active", "active"]
        release(local, new["id"], **{"X-Agent-ID": "ben"})
    assert len(list((tmp_path / "data" / "replaced").iterdir())) == 1


def test_runbook_of_quarantine(tmp_path: Path) -> None:
    """A damaged project is listed, restored from a backup, and served again; without one it can be put back or begun anew."""
    listing, restore, doctor, put_back, start_anew = runbook("Quarantine")
    with ServerProcess(tmp_path) as running, running.client() as local:
        register(local, "acme", "anna")
        before = reserve(local, "acme", "anna", "src/a.py")
        assert run_command("backup", "backup", "--data", "data", cwd=tmp_path).returncode == 0
        assert running.stop() == 0
    damage(tmp_path / "data")
    with ServerProcess(tmp_path) as running, running.client() as local:
        refusal(local.post("/api/agents", json={"project": "acme", "name": "ben"}), 503, "project_quarantined")
        running.logged("project.quarantined")
        found = run_command(*listing, cwd=tmp_path)
        assert (found.returncode, "acme: since" in found.stdout) == (3, True)
        assert running.stop() == 0

    assert [run_command(*command, cwd=tmp_path).returncode for command in (restore, doctor, listing)] == [0, 0, 0]

    fences = [before["fence"]]
    for end in (None, put_back, start_anew):
        if end is not None:
            damage(tmp_path / "data")
            with ServerProcess(tmp_path) as running, running.client() as local:
                refusal(local.post("/api/agents", json={"project": "acme", "name": "ben"}), 503, "project_quarantined")
                running.logged("project.quarantined")
            assert run_command(*end, cwd=tmp_path).returncode == 0
        with ServerProcess(tmp_path) as again, again.client() as local:
            fences.append(reserve(local, "acme", "anna", f"src/{len(fences)}.py")["fence"])
            assert again.stop() == 0
    assert fences == sorted(set(fences))


def damage(data: Path) -> None:
    """Change a byte that SQLite makes nothing of, so that the file is whole but for its seal."""
    [path] = data.glob("*.db")
    content = bytearray(path.read_bytes())
    content[60] ^= 1  # The user version: no meaning of ours.
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["backup", "out", "--data", "nowhere"], 1, "no directory"),
        (["backup", "out", "--data", "empty"], 1, "no projects"),
        (["backup", "out", "--data", "empty", "--project", "acme"], 1, "no project 'acme'"),
        (["backup", "empty", "--data", "empty"], 3, "the data directory itself"),
        (["backup", "out", "--data", "empty", "--project", "\n"], 2, "project name"),
        (["restore", "empty"], 3, "no backup of a project"),
        (["restore", "nowhere"], 2, "does not exist"),
        (["quarantine", "put-back", "acme", "--data", "empty"], 3, "not in quarantine"),
        (["quarantine", "start-anew", "acme", "--data", "empty"], 3, "not in quarantine"),
        (["quarantine", "list", "--data", "empty"], 0, ""),
    ],
    ids=lambda value: " ".join(value).replace("\n", "") if isinstance(value, list) else None,
)
def test_command_that_cannot_be_done_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, words: str
) -> None:
    """Whatever is missing is named, with the right exit code, and nothing is made in its place."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()

    found = CliRunner().invoke(cli, arguments)

    assert found.exit_code == code
    assert words in found.output
    assert {path.name for path in tmp_path.iterdir()} == {"empty"}


@pytest.mark.parametrize("command", [["backup"], ["restore"], ["quarantine"], ["quarantine", "put-back"]])
def test_help_of_commands_has_examples(command: list[str]) -> None:
    """Each of the commands shows how it is used."""
    found = CliRunner().invoke(cli, [*command, "--help"])

    assert found.exit_code == 0
    assert "Example" in found.stdout
