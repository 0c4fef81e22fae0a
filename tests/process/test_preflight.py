"""What keeps the server from starting, or makes it start smaller: trust, versions, descriptors (guarantees.md T4, T10, T28)."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from calls import good, refusal
from server_process import PATIENCE_S, ServerProcess, environment, run_command, until

from intermute import preflight
from intermute.web.server import ServerLimits

NEEDS_KEY = "default_policy: {allow_localhost_without_auth: false}\nprojects: {acme: {keys: [k-1]}}\n"
TRUSTS = NEEDS_KEY.replace("false", "true")
EVERYWHERE = ("--host", "0.0.0.0")
KEY = {"Authorization": "Bearer k-1"}


@pytest.mark.parametrize(
    "text", [TRUSTS, "projects: {acme: {keys: [k-1]}}\n", None], ids=["said", "default", "no-file"]
)
@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_reachable_server_that_trusts_local_callers_is_refused(tmp_path: Path, text: str | None, host: str) -> None:
    """An address of other machines and local callers without a key do not go together: exit 3, with what to do."""
    if text is not None:
        (tmp_path / "keys.yaml").write_text(text)

    refused = run_command("serve", "--port", "0", "--keys-file", "keys.yaml", "--host", host, cwd=tmp_path)

    assert refused.returncode == 3
    assert "allow_localhost_without_auth" in refused.stderr
    assert "--trust-local-callers" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_reachable_server_where_all_need_a_key_starts(tmp_path: Path) -> None:
    """Control: where local callers need a key too it starts, warns, and asks everybody for the key."""
    (tmp_path / "keys.yaml").write_text(NEEDS_KEY)

    with ServerProcess(tmp_path, *EVERYWHERE) as running, local_client(running) as local:
        refusal(local.get("/api/agents"), 401, "unauthorized")
        good(local.get("/api/agents", headers=KEY))
        assert running.events("server.not_loopback")


def test_trust_can_be_accepted_in_so_many_words(tmp_path: Path) -> None:
    """Whoever knows what reaches the port may say so, and the log says it too."""
    (tmp_path / "keys.yaml").write_text(TRUSTS)

    with ServerProcess(tmp_path, *EVERYWHERE, "--trust-local-callers") as running, local_client(running) as local:
        good(local.get("/api/agents"))
        assert running.events("server.not_loopback")


def test_keys_file_cannot_bring_in_trust_later(tmp_path: Path) -> None:
    """A file that would have kept the server from starting is not taken when it changes; the rules of before stay."""
    path = tmp_path / "keys.yaml"
    path.write_text(NEEDS_KEY)

    with ServerProcess(tmp_path, *EVERYWHERE) as running, local_client(running) as local:
        path.write_text(TRUSTS + "# changed\n")

        def failed() -> list[dict[str, Any]]:
            local.get("/api/agents", headers=KEY)
            return running.events("keys.reload_failed")

        assert "allow_localhost_without_auth" in until(failed, "the refusal of the file")[0]["error"]
        refusal(local.get("/api/agents"), 401, "unauthorized")


def local_client(running: ServerProcess) -> Any:  # Any: an httpx client.
    """Return a client over loopback for a server on every address; its first line names the wildcard."""
    client = running.client()
    client.base_url = f"http://127.0.0.1:{running.port}"
    return client


@pytest.mark.parametrize(
    ("host", "is_own"),
    [("127.0.0.1", True), ("127.0.0.2", True), ("::1", True), ("0.0.0.0", False), ("::", False), ("192.0.2.1", False)],
)
def test_loopback_is_told_from_the_address(host: str, is_own: bool) -> None:
    """What only this machine reaches is decided by the bound address, never by a name."""
    assert preflight.is_loopback(host) is is_own
    assert (preflight.undue_trust([host], allows_local=True, is_accepted=False) is None) is is_own


@pytest.mark.parametrize(
    ("text", "is_old"),
    [("0.15.0", True), ("0.15.9", True), ("0.16.0", False), ("0.16.1+dev", False), ("1.0rc1", False), ("?", True)],
)
def test_version_below_the_oldest_is_refused(text: str, is_old: bool) -> None:
    """One below is refused, the oldest itself and everything above is not; the text says what to install."""
    found = preflight.too_old("h11", preflight.version_of(text), preflight.H11_OLDEST, "h11 0.16.0", text)

    assert (found is not None) is is_old
    assert found is None or found == f"h11 {text} is too old: install h11 0.16.0 or newer"


def test_installed_versions_are_new_enough() -> None:
    """Control: what is installed here passes."""
    assert preflight.outdated() is None


@pytest.mark.parametrize(("spare", "fewer"), [(-1, 1), (0, 0), (1, 0)])
def test_connections_fit_the_descriptors(spare: int, fewer: int) -> None:
    """With one descriptor too few there is one connection less; with enough there are as many as wished."""
    wished = ServerLimits()
    enough = next(each for each in range(4096, 10_000) if preflight.fitted(wished, each) == wished)

    assert preflight.fitted(wished, enough + spare).connections_max == wished.connections_max - fewer


@pytest.mark.parametrize("descriptors", [1, 100, 1024])
def test_few_descriptors_leave_half_of_them_for_connections(descriptors: int) -> None:
    """However few there are, some connections are served."""
    assert preflight.fitted(ServerLimits(), descriptors).connections_max == max(1, descriptors // 2)


def limited(hard: int, code: str) -> "subprocess.CompletedProcess[str]":
    """Run Python code in a process that may have only so many open files, half of them to begin with."""
    start = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({hard // 2}, {hard})); "
    arguments = [sys.executable, "-c", start + code]
    return subprocess.run(arguments, capture_output=True, text=True, env=environment(), timeout=PATIENCE_S, check=True)


def test_descriptor_limit_is_raised_as_far_as_it_goes() -> None:
    """The soft limit is raised to what is needed, at most to the hard one."""
    code = "from intermute import preflight as p; from intermute.web.server import ServerLimits as L; "
    code += "print(p.raise_descriptor_limit(L()), p.raise_descriptor_limit(L(connections_max=1)))"

    assert limited(700, code).stdout.split() == ["700", "700"]


def test_server_with_few_descriptors_says_so(tmp_path: Path) -> None:
    """It starts with fewer connections, and the log says how many."""
    arguments = ["serve", "--port", "0", "--log-format", "json", "--data", str(tmp_path / "data")]
    arguments += ["--keys-file", str(tmp_path / "keys.yaml")]
    code = f"import sys; sys.argv[1:] = {arguments}; from intermute.cli.main import main; main()"
    start = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200)); {code}"
    with subprocess.Popen(
        [sys.executable, "-c", start], stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stderr is not None
        lines: list[str] = []
        while not (lines and "server.started" in lines[-1]):
            lines.append(next(process.stderr))
        process.kill()

    [said] = [line for line in lines if "server.few_descriptors" in line]
    assert '"descriptors": 200' in said
    assert '"connections": 100' in said
