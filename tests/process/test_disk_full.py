"""A full disk, step by step as docs/operations.md has it: reads, events, heartbeats and /health go on, writes wait (G19)."""

import time
from pathlib import Path

import httpx
from calls import Json, events, good, inbox, refusal, register, reserve, send
from server_process import ServerProcess, until
from small_disk import MIB, small_disk

BALLAST_BYTES = 16 * MIB
PROMISED_S = 5.0


def write_until_refused(local: httpx.Client, project: str) -> list[str]:
    """Send messages until one is refused for want of room; return the ids of those that were taken."""
    taken: list[str] = []
    while True:
        body = {"project": project, "from": "a1", "to": ["b1"], "id": f"m{len(taken)}", "body": "x" * 20_000}
        answer = local.post("/api/messages", json=body)
        if answer.status_code != 200:
            refusal(answer, 507, "storage_full")
            assert int(answer.headers["retry-after"]) >= 1
            return taken
        taken.append(str(body["id"]))


def writes_again(local: httpx.Client, project: str) -> float:
    """Return after how many seconds a write is taken; what comes before is 507."""
    began_s = time.monotonic()

    def look() -> bool:
        answer = local.post("/api/messages", json={"project": project, "from": "a1", "to": ["b1"], "body": "again"})
        if answer.status_code == 200:
            return True
        refusal(answer, 507, "storage_full")
        return False

    until(look, "a write")
    return time.monotonic() - began_s


def seconds_of_refusal(local: httpx.Client) -> float:
    """Return the median time that a refusal takes."""
    took_s: list[float] = []
    for _ in range(21):
        began_s = time.monotonic()
        refusal(local.post("/api/messages", json={"project": "acme", "from": "a1", "to": ["b1"]}), 507, "storage_full")
        took_s.append(time.monotonic() - began_s)
    return sorted(took_s)[10]


def health(local: httpx.Client) -> Json:
    """Return what a local caller is told."""
    found: Json = good(local.get("/health"))
    return found


def test_disk_full_and_back(tmp_path: Path) -> None:
    """Fill: 507 at once, all else goes on, /health says why; remove a file: writes are taken within 5 s, no restart."""
    with (
        small_disk(tmp_path / "data", 40 * MIB) as disk,
        ServerProcess(tmp_path, wrapper=disk.wrapper) as running,
        running.client() as local,
    ):
        until(lambda: disk.used_by("ballast") == BALLAST_BYTES, "the ballast")
        assert (disk.path / "ballast").stat().st_mode & 0o777 == 0o600
        anna = register(local, "acme", "anna")
        held = reserve(local, "acme", anna["agent_id"], "src/**")
        disk.fill()

        taken = write_until_refused(local, "acme")

        until(lambda: running.events("storage.full"), "the log line")
        assert seconds_of_refusal(local) < 0.1
        assert {each["id"] for each in inbox(local, "acme", "b1", limit="1000")} == set(taken)
        assert len(events(local, "acme")) == len(taken) + 2
        good(local.post(f"/api/agents/{anna['agent_id']}/heartbeat?project=acme"))
        assert good(local.get(f"/api/reservations/{held['id']}"))["is_active"]
        assert local.get("/health/ready").status_code == 503
        found = health(local)
        assert found["status"] == "degraded"
        assert "make space" in found["why"][0]
        assert found["process"]["disk"]["full"] is True
        refusal(local.post("/api/agents", json={"project": "fresh", "name": "x"}), 507, "storage_full")
        until(lambda: disk.used_by("ballast") > BALLAST_BYTES // 2, "the ballast, taken back")

        disk.make_space()

        assert writes_again(local, "acme") <= PROMISED_S
        assert health(local)["status"] == "ok"
        until(lambda: disk.used_by("ballast") == BALLAST_BYTES, "the whole ballast")
        assert local.get("/health/ready").status_code == 200
        assert running.process.poll() is None


def test_disk_full_at_the_start(tmp_path: Path) -> None:
    """A server that starts on a full disk opens what is there, by lending the ballast, and refuses writes with 507."""
    with small_disk(tmp_path / "data", 40 * MIB) as disk:
        with ServerProcess(tmp_path, wrapper=disk.wrapper) as first, first.client() as local:
            until(lambda: disk.used_by("ballast") == BALLAST_BYTES, "the ballast")
            send(local, "acme", "a1", ["b1"], id="before")
            assert first.stop() == 0
        disk.fill()

        with ServerProcess(tmp_path, wrapper=disk.wrapper) as again, again.client() as local:
            assert [each["id"] for each in inbox(local, "acme", "b1")] == ["before"]
            write_until_refused(local, "acme")
            refusal(local.post("/api/agents", json={"project": "fresh", "name": "x"}), 507, "storage_full")
            assert [each["id"] for each in inbox(local, "acme", "b1")][:1] == ["before"]
            disk.make_space()
            assert writes_again(local, "acme") <= PROMISED_S


def test_disk_too_small_for_a_ballast(tmp_path: Path) -> None:
    """On a disk of 2 MiB there is no ballast, which is logged; writes are refused and taken again as on any other."""
    with (
        small_disk(tmp_path / "data", 2 * MIB) as disk,
        ServerProcess(tmp_path, wrapper=disk.wrapper) as running,
        running.client() as local,
    ):
        assert running.logged("storage.ballast_missing")[0]["ballast_bytes"] == 0
        send(local, "acme", "a1", ["b1"])
        disk.fill()
        write_until_refused(local, "acme")
        assert len(inbox(local, "acme", "b1")) >= 1

        disk.make_space()

        assert writes_again(local, "acme") <= PROMISED_S


def test_file_that_may_not_grow_is_a_full_disk(tmp_path: Path) -> None:
    """A limit on the size of files, which SQLite calls an I/O error, is answered like a full disk; reads go on."""
    limit = ("sh", "-c", 'ulimit -f 2048; exec "$@"', "limited")  # Blocks of 512 bytes: 1 MiB.
    with ServerProcess(tmp_path, wrapper=limit) as running, running.client() as local:
        taken = write_until_refused(local, "acme")

        assert {each["id"] for each in inbox(local, "acme", "b1", limit="1000")} == set(taken)
        assert running.events("storage.fault")[-1]["fault"].startswith("full: ")
        assert running.events("actor.crashed") == []
