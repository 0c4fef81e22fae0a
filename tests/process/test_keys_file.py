"""The keys file: made when there is none, re-read when it changes, refused when it is wrong (contract.md 3.1, 3.2)."""

import hashlib
import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml
from calls import good, refusal
from click.testing import CliRunner
from known_keys import with_key
from server_process import ServerProcess, run_command, until

from intermute.cli.main import cli
from intermute.web.keys import KeysRefused, load_keys


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that found no keys file."""
    with ServerProcess(tmp_path_factory.mktemp("keys")) as running:
        yield running


def status_with(server: ServerProcess, key: str) -> int:
    """Return the status of a remote call with this key."""
    with server.client(with_key(key)) as remote:
        return remote.get("/api/agents").status_code


def opens(server: ServerProcess, key: str) -> bool:
    """Tell whether the key works."""
    return status_with(server, key) == 200


def rewrite(path: Path, text: str) -> None:
    """Replace a file in one step; its time stamp is new even on a coarse clock."""
    new = path.with_suffix(".tmp")
    new.write_text(text)
    stamp_ns = time.time_ns()
    os.utime(new, ns=(stamp_ns, stamp_ns))
    new.replace(path)


def keys_text(*keys: str, local: bool = True) -> str:
    """Return a keys file with these keys of project acme."""
    return yaml.safe_dump(
        {"default_policy": {"allow_localhost_without_auth": local}, "projects": {"acme": {"keys": list(keys)}}}
    )


def test_bootstrap_makes_a_private_file_with_a_key_for_dev(fresh: ServerProcess) -> None:
    """Without a file, `serve` makes one: mode 0600, project `dev`, one key of 43 characters, local callers let in."""
    document = yaml.safe_load(fresh.keys_file.read_text())

    assert fresh.keys_file.stat().st_mode & 0o777 == 0o600
    assert document["default_policy"]["allow_localhost_without_auth"] is True
    keys = document["projects"]["dev"]["keys"]
    assert [len(key) for key in keys] == [43]
    assert status_with(fresh, keys[0]) == 200
    assert fresh.logged("keys.bootstrapped")[0]["project"] == "dev"


def test_bootstrap_does_not_log_the_key(fresh: ServerProcess) -> None:
    """The key is in the file, and nowhere else."""
    key = yaml.safe_load(fresh.keys_file.read_text())["projects"]["dev"]["keys"][0]

    assert key not in "".join(fresh.lines)
    assert key not in (fresh.home / "stdout").read_text()


def test_keys_are_rotated_without_a_restart(tmp_path: Path) -> None:
    """A new key works within two seconds and an old one stops; a broken file changes nothing; a missing one neither."""
    path = tmp_path / "keys.yaml"
    path.write_text(keys_text("old"))
    with ServerProcess(tmp_path) as running:
        assert (status_with(running, "old"), status_with(running, "new")) == (200, 401)

        rewrite(path, keys_text("old", "new"))
        until(lambda: status_with(running, "new") == 200, "the new key to work", 2.5)
        assert status_with(running, "old") == 200

        rewrite(path, keys_text("new"))
        until(lambda: status_with(running, "old") == 401, "the old key to stop", 2.5)

        rewrite(path, "projects: [not, a, mapping")
        until(lambda: status_with(running, "new") == 200 and running.events("keys.reload_failed"), "the refusal", 2.5)
        path.unlink()
        until(
            lambda: status_with(running, "new") == 200 and len(running.events("keys.reload_failed")) > 1,
            "the second",
            2.5,
        )
        assert (status_with(running, "new"), status_with(running, "old")) == (200, 401)


def test_init_gives_a_running_server_a_new_key(fresh: ServerProcess) -> None:
    """`intermute init` prints a key that the running server takes up; `--hashed` keeps it out of the file."""
    for flag in ("--hashed", None):
        more = [flag] if flag else []
        made = run_command("init", "--project", "extra", "--keys-file", str(fresh.keys_file), *more, cwd=fresh.home)
        key = next(line for line in made.stdout.splitlines() if line.startswith("Key: ")).removeprefix("Key: ")

        until(partial(opens, fresh, key), "the new key to work", 2.5)

        text = fresh.keys_file.read_text()
        assert (key in text) is (flag is None)
        assert flag is None or f"sha256:{hashlib.sha256(key.encode()).hexdigest()}" in text
        assert fresh.keys_file.stat().st_mode & 0o777 == 0o600


def test_local_callers_need_a_key_where_the_file_says_so(tmp_path: Path) -> None:
    """`allow_localhost_without_auth: false` makes everybody bring a key, over the Unix socket too."""
    (tmp_path / "keys.yaml").write_text(keys_text("k-1", local=False))
    with ServerProcess(tmp_path) as running, running.client() as local:
        refusal(local.get("/api/agents"), 401, "unauthorized")
        assert good(local.get("/health")) == {"status": "ok"}
        headers = {"Authorization": "Bearer k-1"}
        assert [each["project"] for each in good(local.get("/api/projects", headers=headers))["projects"]] == ["acme"]
        refusal(local.get("/api/agents", params={"project": "other"}, headers=headers), 403, "foreign_project")


def test_existing_file_is_read_leniently_and_never_touched(tmp_path: Path) -> None:
    """An absent policy lets local callers in, keys are trimmed, blank ones and unknown fields skipped; nothing is written."""
    text = "# ours\nextra: 1\nprojects:\n  acme:\n    keys: ['', '  ', ' k-1 ']\n    note: x\n"
    (tmp_path / "keys.yaml").write_text(text)
    with ServerProcess(tmp_path) as running, running.client() as local:
        good(local.get("/api/agents"))
        assert status_with(running, "k-1") == 200
        assert [status_with(running, wrong) for wrong in ("''", "note")] == [401, 401]

    assert (tmp_path / "keys.yaml").read_text() == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("projects: [", "parse keys file", id="yaml"),
        pytest.param("projects: {acme: {keys: ['sha256:12']}}\n", "sha256", id="digest"),
        pytest.param(
            "projects: {a: {keys: [k-123456]}, b: {keys: [k-123456]}}\n", "key reused across projects", id="reused"
        ),
        pytest.param(b"\xff\xfe\x00", "keys file", id="binary"),
        pytest.param("projects: {acme: {keys: [2026-99-99]}}\n", "cannot be read", id="no-date"),
        pytest.param("projects: " + "[" * 5_000, "cannot be read", id="deep"),
    ],
)
def test_wrong_file_keeps_the_server_from_starting(tmp_path: Path, text: str | bytes, words: str) -> None:
    """A file that cannot be understood is refused in the original's words, with exit code 3 and no traceback."""
    path = tmp_path / "keys.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())

    refused = run_command("serve", "--port", "0", "--data", "data", "--keys-file", "keys.yaml", cwd=tmp_path)

    assert refused.returncode == 3
    assert "auth init:" in refused.stderr
    assert words in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "k-123456" not in refused.stderr


@pytest.mark.parametrize(
    "text",
    [
        "projects:\n  acme:\n    keys:\n    - top-secret-key: a: b\n",
        "projects: {acme: {keys: ['top-secret-key",
        "projects: {acme: {keys: [sha256:top-secret-key]}}",
        "projects: {acme: {keys: [top-secret-key]}, umbra: {keys: [top-secret-key]}}",
    ],
)
def test_wrong_file_is_refused_without_quoting_a_key(tmp_path: Path, text: str) -> None:
    """What is said of a wrong file goes to the log, so it names the place and never the key that stands there."""
    path = tmp_path / "keys.yaml"
    path.write_text(text)

    with pytest.raises(KeysRefused) as refused:
        load_keys(path)

    assert str(refused.value).startswith("auth init: ")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(("mode", "warnings"), [(0o600, 0), (0o640, 1), (0o604, 1)])
def test_file_that_others_can_read_is_complained_of(tmp_path: Path, mode: int, warnings: int) -> None:
    """A keys file is its owner's alone; where it is not, the log says so at start (guarantees.md T7)."""
    path = tmp_path / "keys.yaml"
    path.write_text(keys_text("k-1"))
    path.chmod(mode)

    with ServerProcess(tmp_path) as running:
        assert len(running.events("keys.readable_by_others")) == warnings


@pytest.mark.parametrize(("mode", "is_refused"), [(0o600, False), (0o664, False), (0o602, True), (0o666, True)])
def test_file_that_everybody_can_write_is_refused(tmp_path: Path, mode: int, is_refused: bool) -> None:
    """Whoever could write to the file could give himself a key (guarantees.md T27)."""
    path = tmp_path / "keys.yaml"
    path.write_text(keys_text("k-1"))
    path.chmod(mode)

    if not is_refused:
        assert load_keys(path).project_of("k-1")
        return
    with pytest.raises(KeysRefused, match="every user can write"):
        load_keys(path)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_file_of_another_user_is_refused(tmp_path: Path) -> None:
    """Another user's file says whatever that user likes."""
    path = tmp_path / "keys.yaml"
    path.write_text(keys_text("k-1"))
    os.chown(path, 12345, -1)

    with pytest.raises(KeysRefused, match="belongs to another user"):
        load_keys(path)


def test_what_is_no_file_is_refused_without_being_read(tmp_path: Path) -> None:
    """A device could be read for ever, a pipe could be waited for, and a file could be without an end."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    for strange in (Path("/dev/zero"), tmp_path / "pipe"):
        with pytest.raises(KeysRefused, match="is not a file"):
            load_keys(strange)
    path = tmp_path / "keys.yaml"
    path.write_text("#" * (1024 * 1024 + 1))
    with pytest.raises(KeysRefused, match="longer than"):
        load_keys(path)


def test_environment_names_the_keys_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """INTERMUTE_KEYS_FILE names the file where no flag does; `init` uses it as well."""
    monkeypatch.chdir(tmp_path)

    made = CliRunner().invoke(cli, ["init", "--project", "acme"], env={"INTERMUTE_KEYS_FILE": " other.yaml "})

    assert made.exit_code == 0
    assert (tmp_path / "other.yaml").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "intermute.keys.yaml").exists()
