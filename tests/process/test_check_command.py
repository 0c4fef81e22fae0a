"""`intermute check` against a real server: every exit code, what it prints, where its settings come from (issue 3, 4)."""

import json
import os
import re
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import click
import pytest
from calls import register, reserve
from click.testing import CliRunner, Result
from known_keys import ACME_KEY, UMBRA_KEY
from server_process import REPOSITORY, ServerProcess, environment, run_command

from intermute.cli.check_call import CALL_TIMEOUT_S, NoVerdict, Service
from intermute.cli.main import cli

_HOOK = re.compile(r"```sh\n(#!/bin/sh\n.*?)```", re.DOTALL)
_SETTINGS = ("URL", "API_KEY", "PROJECT", "AGENT", "AGENT_NAME")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server on which anna, who is registered, holds src/** in project `check`."""
    with ServerProcess(tmp_path_factory.mktemp("checked")) as running:
        with running.client() as local:
            register(local, "check", "anna")
            reserve(local, "check", "anna", "src/**", reason="IM-1", ttl_minutes=12)
        yield running


def check(served: ServerProcess, *arguments: str, **settings: str | None) -> Result:
    """Run the command in this process, in project `check` of the server; `settings` are INTERMUTE_ variables."""
    known = {"URL": served.url, "PROJECT": "check", **settings}
    variables = {f"INTERMUTE_{name}": known.get(name) for name in _SETTINGS}
    return CliRunner().invoke(cli, ["check", *arguments], env=variables)


# ---- exit codes, each from a process of its own


def test_check_of_free_paths_exits_with_0(served: ServerProcess, tmp_path: Path) -> None:
    """Clear: each path is listed as free, and nothing is on standard error."""
    found = run_command(
        "check", "--url", served.url, "--project", "check", "docs/x.md", "a.py", "--glob", "t/*", cwd=tmp_path
    )

    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout == "free     t/*\nfree     docs/x.md\nfree     a.py\n"


def test_check_of_a_held_path_exits_with_1(served: ServerProcess, tmp_path: Path) -> None:
    """Conflict: the line says who holds it, why, for how long and where."""
    found = run_command("check", "--url", served.url, "--project", "check", "src/a.py", "docs/x.md", cwd=tmp_path)

    assert found.returncode == 1
    assert found.stdout.splitlines() == [
        "CONFLICT src/a.py held by anna (IM-1) for 12 min, exclusive src/**, example src/a.py",
        "free     docs/x.md",
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param([], "--glob", id="nothing"),
        pytest.param(["--glub", "x"], "--glub", id="flag"),
        pytest.param(["--url", "127.0.0.1:7338", "a"], "http://127.0.0.1:7338", id="url-scheme"),
        pytest.param(["--url", "ftp://localhost", "a"], "--url", id="url-ftp"),
        pytest.param(["--url", "http://localhost:99999", "a"], "--url", id="url-port"),
        pytest.param(["--url", "http://", "a"], "--url", id="url-host"),
        pytest.param(["--url", "http://me:pw@localhost", "a"], "--url", id="url-user"),
        pytest.param(["--url", "http://local host", "a"], "--url", id="url-space"),
        pytest.param(["--url", "http://[::1", "a"], "--url", id="url-bracket"),
        pytest.param(["/etc/passwd"], "'/etc/passwd'", id="absolute"),
        pytest.param(["a/../b"], "a/../b", id="parent"),
        pytest.param([""], "empty", id="empty"),
        pytest.param(["--glob", "src/[a"], "src/[a", id="unclosed"),
        pytest.param(["x" * 1025], "1024", id="long"),
        pytest.param(["--project", "a\nb", "x"], "project", id="project"),
        pytest.param(["--agent", " ", "x"], "agent_id", id="agent"),
        pytest.param([os.fsdecode(b"caf\xe9")], "UTF-8", id="not-utf8"),
    ],
)
def test_check_that_cannot_be_meant_exits_with_2(served: ServerProcess, arguments: list[str], words: str) -> None:
    """Wrong usage: standard error names what is wrong, standard output has nothing to misread."""
    found = check(served, *arguments)

    assert found.exit_code == 2
    assert words in found.stderr
    assert found.stdout == ""


def test_check_with_a_key_that_is_none_exits_with_2(served: ServerProcess) -> None:
    """A key that no header can carry is not sent."""
    found = check(served, "a", API_KEY="two\nlines")

    assert found.exit_code == 2
    assert "INTERMUTE_API_KEY" in found.stderr


def test_check_of_a_process_that_cannot_be_meant_exits_with_2(served: ServerProcess, tmp_path: Path) -> None:
    """The same holds for a process of its own, with a name that is not UTF-8 in its arguments."""
    for arguments in ([], ["--url", served.url, "a/../b"], ["--url", served.url, os.fsdecode(b"\xff")]):
        found = run_command("check", *arguments, cwd=tmp_path)

        assert (found.returncode, found.stdout) == (2, "")
        assert "Traceback" not in found.stderr


def test_check_that_reaches_nobody_exits_with_3(tmp_path: Path) -> None:
    """Unreachable: standard error says where nobody answers, and what to do."""
    with socket.socket() as reserved:  # Bound and not listening: nobody answers there, and nobody else takes it.
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"

        found = run_command("check", "--url", url, "src/a.py", cwd=tmp_path)

    assert (found.returncode, found.stdout) == (3, "")
    assert url in found.stderr
    assert "intermute serve" in found.stderr
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize("url", ["http://a..b", f"http://{'x' * 64}.invalid"])
def test_check_at_a_name_that_is_nobodys_exits_with_3(served: ServerProcess, url: str) -> None:
    """A host name that nothing can have is unreachable, not a failure of ours."""
    found = check(served, "--url", url, "a")

    assert found.exit_code == 3
    assert "--url" in found.stderr


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that wants a key from everybody and knows one of project acme."""
    home = tmp_path_factory.mktemp("locked")
    (home / "keys.yaml").write_text(
        "default_policy: {allow_localhost_without_auth: false}\n"
        f"projects: {{acme: {{keys: [{ACME_KEY}]}}, umbra: {{keys: [{UMBRA_KEY}]}}}}\n"
    )
    with ServerProcess(home) as running:
        yield running


@pytest.mark.parametrize(
    ("key", "project", "words"),
    [
        pytest.param(None, "acme", "wants a key", id="none"),
        pytest.param("wrong", "acme", "does not know the key", id="unknown"),
        pytest.param(UMBRA_KEY, "acme", "project", id="foreign"),
    ],
)
def test_check_with_a_refused_key_exits_with_3(
    locked: ServerProcess, key: str | None, project: str, words: str
) -> None:
    """No verdict: standard error says what is wrong with the key and never shows it."""
    found = check(locked, "src/a.py", API_KEY=key, PROJECT=project)

    assert found.exit_code == 3
    assert words in found.stderr
    assert found.stdout == ""
    assert key is None or key not in found.stderr


def test_check_with_a_key_asks_in_its_project(locked: ServerProcess) -> None:
    """The key from the environment opens its project, which need not be named."""
    assert check(locked, "src/a.py", API_KEY=f" {ACME_KEY}\n", PROJECT=None).exit_code == 0


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """Serve one answer to whatever comes, and yield the address."""

    class Canned(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # The name is the standard library's.
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Canned) as stub:
        thread = threading.Thread(target=stub.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{stub.server_port}"
        stub.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        pytest.param(503, b'{"error":"project_parked","message":"It rests."}', "503: It rests.", id="parked"),
        pytest.param(500, b'{"error":"x","message":"bug\\u001b[2J\\nCLEAR"}', "bug?[2J?CLEAR", id="steering"),
        pytest.param(429, b'{"error":"overloaded","message":"Later."}', "Later.", id="overloaded"),
        pytest.param(404, b"<html>", "not Intermute", id="page"),
        pytest.param(400, b"<html>", "not Intermute", id="page-400"),
        pytest.param(302, b"", "--url", id="redirect"),
        pytest.param(200, b"<html>", "--url", id="page-200"),
        pytest.param(200, b'{"conflict":false}', "--url", id="other-json"),
        pytest.param(200, b"\xff", "--url", id="bytes"),
        pytest.param(502, b'{"message":["x"]}', "502", id="odd-message"),
    ],
)
def test_check_of_a_service_out_of_order_exits_with_3(
    served: ServerProcess, status: int, body: bytes, words: str
) -> None:
    """Whatever is no verdict is not taken for one; what the other side says cannot steer a terminal."""
    with answering(status, body) as url:
        found = check(served, "--url", url, "src/a.py")

    assert found.exit_code == 3
    assert words in found.stderr
    assert found.stdout == ""


def test_check_of_silence_and_of_noise_gives_no_verdict() -> None:
    """A hook must not hang: silence ends after the timeout, and what is no HTTP at once."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(NoVerdict, match="no answer"):
            Service(url, None, timeout_s=0.05).check({"paths": ["a"]})

        def chatter() -> None:
            taken, _ = silent.accept()  # That of the call before, which has left.
            taken.close()
            taken, _ = silent.accept()
            taken.sendall(b"SSH-2.0-x\r\n")
            taken.close()

        noise = threading.Thread(target=chatter, daemon=True)
        noise.start()
        with pytest.raises(NoVerdict):
            Service(url, None).check({"paths": ["a"]})
        noise.join()
    assert CALL_TIMEOUT_S <= 5
    assert issubclass(NoVerdict, click.ClickException)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["--agent", "ana", "docs"], "'ana' is not known", id="stranger"),
        pytest.param(["--agent", "anna", "docs/*.md"], "'docs/*.md'", id="wildcards"),
    ],
)
def test_check_with_warnings_exits_with_4_if_strict(
    served: ServerProcess, tmp_path: Path, arguments: list[str], words: str
) -> None:
    """Warnings are printed in any case, and count with --strict."""
    strict = run_command("check", "--url", served.url, "--project", "check", "--strict", *arguments, cwd=tmp_path)
    lenient = check(served, *arguments)

    assert (strict.returncode, lenient.exit_code) == (4, 0)
    assert strict.stdout == lenient.stdout
    assert words in strict.stdout.splitlines()[-1]


def test_check_strict_without_warnings_exits_with_0(served: ServerProcess) -> None:
    """A known agent and plain paths are nothing to warn of; brackets are ordinary in a path."""
    assert check(served, "--strict", "--agent", "anna", "app/[id]/page.tsx", "src/a.py").exit_code == 0


def test_check_conflict_goes_before_warnings(served: ServerProcess) -> None:
    """With both, it is a conflict."""
    assert check(served, "--strict", "--agent", "ana", "src/a.py").exit_code == 1


# ---- flags and settings


@pytest.mark.parametrize("settings", [{"AGENT_NAME": "anna"}, {"AGENT": "anna"}, {"AGENT_NAME": "anna", "AGENT": "x"}])
def test_check_takes_the_agent_from_the_environment(served: ServerProcess, settings: dict[str, str]) -> None:
    """INTERMUTE_AGENT_NAME, then INTERMUTE_AGENT; a flag goes before both."""
    assert check(served, "src/a.py", **settings).exit_code == 0
    assert check(served, "src/a.py", "--agent", "ben", **settings).exit_code == 1


def test_check_takes_the_project_from_the_environment(served: ServerProcess) -> None:
    """Blank is as good as none, and a flag goes before it."""
    assert check(served, "src/a.py", PROJECT="other").exit_code == 0
    assert check(served, "src/a.py", PROJECT="").exit_code == 0
    assert check(served, "src/a.py", "--project", "check", PROJECT="other").exit_code == 1


def test_check_takes_an_address_with_a_slash(served: ServerProcess) -> None:
    """A slash at the end of the URL changes nothing."""
    assert check(served, "src/a.py", URL=f"{served.url}/").exit_code == 1


def test_check_shared_is_in_nobodys_way_who_shares(served: ServerProcess) -> None:
    """--shared asks to read."""
    with served.client() as local:
        reserve(local, "check", "anna", "read/**", exclusive=False)

    assert check(served, "--shared", "read/a").exit_code == 0
    assert check(served, "read/a").exit_code == 1


def test_check_path_is_literal_and_glob_is_a_pattern(served: ServerProcess) -> None:
    """A star in a PATH is a star."""
    assert check(served, "s*/a.py").exit_code == 0
    assert check(served, "--glob", "s*/a.py").exit_code == 1
    assert check(served, "--", "-odd-name").stdout == "free     -odd-name\n"


def test_check_as_json_is_the_services_answer(served: ServerProcess) -> None:
    """--json prints one JSON object with the fields of the HTTP answer; the exit code is the same."""
    found = check(served, "--json", "src/a.py", "docs/x.md")

    view = json.loads(found.stdout)
    assert found.exit_code == 1
    assert [(each["text"], each["free"]) for each in view["targets"]] == [("src/a.py", False), ("docs/x.md", True)]
    assert view["conflicts"][0]["held_by"] == "anna"


@pytest.mark.parametrize("count", [100, 101, 250])
def test_check_of_many_paths_is_one_verdict(served: ServerProcess, count: int) -> None:
    """More paths than one call takes are asked in several; the last of them counts like the first."""
    free = check(served, *(f"docs/{number}" for number in range(count)))
    taken = check(served, *(f"docs/{number}" for number in range(count - 1)), "src/a.py", "--json")

    assert (free.exit_code, len(free.stdout.splitlines())) == (0, count)
    view = json.loads(taken.stdout)
    assert (taken.exit_code, len(view["targets"]), len(view["conflicts"])) == (1, count, 1)
    assert view["message"].startswith("Held by anna")


def test_check_help_has_examples_and_exit_codes() -> None:
    """The help says what each exit code means, and what a warning is."""
    found = CliRunner().invoke(cli, ["check", "--help"])

    assert found.exit_code == 0
    for word in ("Examples", "Exit codes", "INTERMUTE_API_KEY", "--strict", "--glob", "unreachable", "wildcard"):
        assert word in found.stdout


def test_check_in_the_documented_hook_guards_a_commit(served: ServerProcess, tmp_path: Path) -> None:
    """The hook of docs/operations.md stops a commit of what another holds, and no other; without a service it lets pass."""
    [hook] = _HOOK.findall((REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8"))
    # Run from a hook itself, this must not meet the repository that git's variables name.
    clean = {name: value for name, value in environment().items() if not name.startswith("GIT_")}
    (tmp_path / "bin").mkdir()
    for path, text in (
        ("bin/intermute", f'#!/bin/sh\nexec "{sys.executable}" -m intermute "$@"\n'),
        (".git/hooks/pre-commit", hook.replace("acme", "check")),
    ):
        if path.startswith(".git"):
            subprocess.run(["git", "init", "-q", "."], cwd=tmp_path, env=clean, check=True)
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
        (tmp_path / path).chmod(stat.S_IRWXU)
    (tmp_path / "src").mkdir()

    def commit(name: str, **settings: str) -> int:
        (tmp_path / name).write_text("x")
        path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
        known = {**clean, "PATH": path, "GIT_CONFIG_GLOBAL": os.devnull, **settings}
        subprocess.run(["git", "add", name], cwd=tmp_path, env=known, check=True)
        author = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        done = subprocess.run(
            ["git", *author, "commit", "-q", "-m", "x"], cwd=tmp_path, env=known, check=False, capture_output=True
        )
        return done.returncode

    assert commit("a file.md", INTERMUTE_URL=served.url) == 0
    assert commit("src/a.py", INTERMUTE_URL=served.url) == 1
    assert commit("src/a.py", INTERMUTE_URL=served.url, INTERMUTE_AGENT_NAME="anna") == 0
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        assert commit("src/b.py", INTERMUTE_URL=f"http://127.0.0.1:{reserved.getsockname()[1]}") == 0
