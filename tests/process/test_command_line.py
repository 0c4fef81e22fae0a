"""The command line: what the commands print, and how they end (contract.md 4, issue 2 point 9).

Whatever starts, signals or exits is a process of its own; texts and usage errors are read from the same commands in this
one, since starting Python takes longer than they do.
"""

import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from calls import register
from click.testing import CliRunner
from server_process import ServerProcess, run_command, until

from intermute.cli.main import cli


def test_version_is_one_line(tmp_path: Path) -> None:
    """`version` and `--version` print the version and nothing else."""
    found = run_command("version", cwd=tmp_path)

    assert found.returncode == 0
    assert re.fullmatch(r"intermute \d+\.\d+\.\d+\S*\n", found.stdout)
    assert found.stderr == ""
    assert found.stdout.split()[-1] in CliRunner().invoke(cli, ["--version"]).stdout


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_shows_commands_examples_and_exit_codes(flag: str) -> None:
    """`--help` and `-h` name every command, give examples and explain the exit codes."""
    found = CliRunner().invoke(cli, [flag])

    assert found.exit_code == 0
    for word in (
        "serve",
        "init",
        "demo",
        "doctor",
        "check",
        "import-original",
        "backup",
        "restore",
        "quarantine",
        "version",
        "Examples",
        "Exit codes",
    ):
        assert word in found.stdout


@pytest.mark.parametrize(
    "command",
    ["serve", "init", "doctor", "demo", "check", "backup", "restore", "quarantine", "import-original", "version"],
)
def test_help_of_each_command(command: str) -> None:
    """Each command explains itself."""
    found = CliRunner().invoke(cli, [command, "--help"])

    assert found.exit_code == 0
    assert "Usage:" in found.stdout


def test_help_of_serve_names_every_flag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The flags of the original and ours are documented; nothing is started."""
    monkeypatch.chdir(tmp_path)

    found = CliRunner().invoke(cli, ["serve", "--help"])

    for flag in ("--host", "--port", "--data", "--db", "--socket", "--keys-file", "--log-format", "--allow-host"):
        assert flag in found.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["nonsense"], id="command"),
        pytest.param(["serve", "--prot", "1"], id="flag"),
        pytest.param(["serve", "--port", "65536"], id="port-high"),
        pytest.param(["serve", "--port", "-1"], id="port-low"),
        pytest.param(["serve", "--port", "x"], id="port-text"),
        pytest.param(["serve", "--log-format", "xml"], id="log-format"),
        pytest.param(["init"], id="init-without-project"),
    ],
)
def test_wrong_usage_is_exit_code_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    """A command line that cannot be meant is explained on standard error, and nothing is made."""
    monkeypatch.chdir(tmp_path)

    found = CliRunner().invoke(cli, arguments)

    assert found.exit_code == 2
    assert "Error" in found.stderr
    assert list(tmp_path.iterdir()) == []


def test_init_prints_the_original_text(tmp_path: Path) -> None:
    """`init` makes a key and prints it with the original's instructions."""
    found = run_command("init", "--project", "demo", "--keys-file", "keys.yaml", cwd=tmp_path)

    key = yaml.safe_load((tmp_path / "keys.yaml").read_text())["projects"]["demo"]["keys"][0]
    assert found.returncode == 0
    assert len(key) == 43
    assert found.stdout == (
        'Created API key for project "demo" in ./keys.yaml\n\n'
        f"Key: {key}\n\n"
        "To use this key, set the environment variable or add the header:\n"
        f"  export INTERMUTE_API_KEY={key}\n"
        f'  -H "Authorization: Bearer {key}"\n\n'
        "To start the server with these keys:\n"
        "  INTERMUTE_KEYS_FILE=./keys.yaml intermute serve\n"
    )
    assert (tmp_path / "keys.yaml").stat().st_mode & 0o777 == 0o600


def test_init_keeps_the_keys_that_are_there(tmp_path: Path) -> None:
    """Earlier keys stay valid, other projects stay, and a policy that was set is not changed."""
    (tmp_path / "keys.yaml").write_text(
        "default_policy: {allow_localhost_without_auth: false}\nprojects: {demo: {keys: [one]}, other: {keys: [two]}}\n"
    )

    CliRunner().invoke(cli, ["init", "--project", " demo ", "--keys-file", str(tmp_path / "keys.yaml")])

    document = yaml.safe_load((tmp_path / "keys.yaml").read_text())
    assert document["default_policy"]["allow_localhost_without_auth"] is False
    assert document["projects"]["demo"]["keys"][0] == "one"
    assert len(document["projects"]["demo"]["keys"]) == 2
    assert document["projects"]["other"]["keys"] == ["two"]


@pytest.mark.parametrize(
    ("project", "words"), [("", "project required"), ("  ", "project required"), ("a\nb", "project name")]
)
def test_init_refuses_a_bad_project(tmp_path: Path, project: str, words: str) -> None:
    """A blank project is refused in the original's words, and no file is made."""
    found = CliRunner().invoke(cli, ["init", "--project", project, "--keys-file", str(tmp_path / "keys.yaml")])

    assert found.exit_code == 1
    assert words in found.stderr
    assert list(tmp_path.iterdir()) == []


def test_init_leaves_a_broken_file_alone(tmp_path: Path) -> None:
    """A file that cannot be understood is not overwritten."""
    (tmp_path / "keys.yaml").write_text("projects: [")

    found = CliRunner().invoke(cli, ["init", "--project", "demo", "--keys-file", str(tmp_path / "keys.yaml")])

    assert found.exit_code == 1
    assert "parse keys file" in found.stderr
    assert (tmp_path / "keys.yaml").read_text() == "projects: ["


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with one project, acme, of one event; a test may stop it."""
    with ServerProcess(tmp_path_factory.mktemp("served")) as running:
        with running.client() as local:
            register(local, "acme", "anna")
        yield running


def test_doctor_looks_into_a_directory_that_is_being_served(served: ServerProcess) -> None:
    """`doctor` names each project with schema, events and integrity while a server runs, and does not disturb it."""
    found = run_command("doctor", "--data", str(served.data), cwd=served.home)

    assert found.returncode == 0
    assert "running on this directory" in found.stdout
    assert re.search(
        r"^ok +acme: schema \d+, head 1, \d+ KiB, integrity ok, head hash [0-9a-f]{64}$", found.stdout, re.MULTILINE
    )
    assert "PROBLEM" not in found.stdout
    with served.client() as local:
        register(local, "umbra", "ben")


def test_doctor_finds_what_is_wrong(served: ServerProcess) -> None:
    """A directory open to others and a damaged file are problems with advice, and exit code 3; without them it is 0."""
    assert served.process.poll() is not None or served.stop() == 0
    healthy = run_command("doctor", "--db", str(served.data), cwd=served.home)
    database = next(served.data.glob("*.db"))
    database.write_bytes(b"SQLite format 3\x00" + b"\xff" * 4096)
    served.data.chmod(0o755)

    found = run_command("doctor", "--data", "data", cwd=served.home)

    assert (healthy.returncode, healthy.stdout.count("PROBLEM")) == (0, 0)
    assert "not running" in healthy.stdout
    assert (found.returncode, found.stdout.count("PROBLEM")) == (3, 2)
    assert "chmod 700" in found.stdout
    assert "Traceback" not in found.stderr


def test_doctor_adds_nothing(tmp_path: Path) -> None:
    """Looking into a directory leaves it as it was: not even a lock appears."""
    found = CliRunner().invoke(cli, ["doctor", "--data", str(tmp_path)])

    assert "not running" in found.output
    assert list(tmp_path.iterdir()) == []


def test_doctor_of_no_directory_says_so(tmp_path: Path) -> None:
    """Looking into a directory that is not there is exit code 1, and makes none."""
    found = CliRunner().invoke(cli, ["doctor", "--data", str(tmp_path / "nowhere")])

    assert found.exit_code == 1
    assert "nowhere" in found.stderr
    assert list(tmp_path.iterdir()) == []


def test_serve_refuses_a_port_that_is_taken(tmp_path: Path) -> None:
    """A taken port is exit code 3 with the address and what to do, not a traceback."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])

        found = run_command("serve", "--port", port, "--data", "data", "--keys-file", "k.yaml", cwd=tmp_path)

    assert found.returncode == 3
    assert port in found.stderr
    assert "--port" in found.stderr
    assert "Traceback" not in found.stderr


def test_serve_refuses_a_directory_it_cannot_use(tmp_path: Path) -> None:
    """A file where the data directory should be is refused with a sentence."""
    (tmp_path / "data").write_text("x")

    found = run_command("serve", "--port", "0", "--data", "data", "--keys-file", "k.yaml", cwd=tmp_path)

    assert found.returncode in (2, 3)
    assert "Traceback" not in found.stderr
    assert (tmp_path / "data").read_text() == "x"


def test_no_command_serves(tmp_path: Path) -> None:
    """`python -m intermute` alone serves on the default port with the default files, unless the port is taken."""
    alone = ServerProcess(tmp_path, command=None)
    try:
        until(
            lambda: alone.process.poll() is not None or "server.started" in "".join(alone.lines), "a start or a refusal"
        )
        if alone.process.poll() is None:
            alone.signal(signal.SIGTERM)
        code = alone.wait()
    finally:
        alone.kill()

    assert "127.0.0.1:7338" in "".join(alone.lines)
    assert code == (0 if "server.started" in "".join(alone.lines) else 3)
    assert (tmp_path / "intermute-data").is_dir()
    assert (tmp_path / "intermute.keys.yaml").is_file()
