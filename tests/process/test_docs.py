"""The pages do what they say: the commands of README.md and docs/index.md, run in order against a real server.

The commands are `curl` lines; they are read with a shell's rules and sent by an ordinary HTTP client, so that the test needs
no curl.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from server_process import REPOSITORY, ServerProcess

_BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
_PROGRAM = re.compile(r"```python\n(.*?)```", re.DOTALL)
_JSON_TYPE = "Content-Type: application/json"


@pytest.fixture
def empty_server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server on which nothing has happened yet."""
    with ServerProcess(tmp_path / "docs") as running:
        yield running


def commands_of(page: Path) -> list[list[str]]:
    """Return the curl commands of a page in order, split as a shell would, with the page's two variables put in."""
    lines = [
        line for block in _BLOCK.findall(page.read_text()) for line in block.splitlines() if line.startswith("curl ")
    ]
    spelled = [line.replace("$I", "/api").replace('"$J"', f'"{_JSON_TYPE}"') for line in lines]
    return [shlex.split(line) for line in spelled]


def send(client: httpx.Client, command: list[str]) -> httpx.Response:
    """Send what the command says; only the flags that the pages use are known."""
    method, headers, body, url = None, {}, None, None
    words = iter(command[1:])
    for word in words:
        match word:
            case "-s":
                pass
            case "-X":
                method = next(words)
            case "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            case "-d":
                body = next(words)
            case _:
                assert url is None, f"two addresses in {command}"
                url = word
    assert url is not None, f"no address in {command}"
    # A page that waits for the next event must not hold the test for a minute.
    return client.request(method or ("POST" if body else "GET"), url.replace("wait_seconds=55", "wait_seconds=0"),
                          headers=headers, content=body)  # fmt: skip


def test_docs_index_commands_answer_as_the_page_says(empty_server: ServerProcess) -> None:
    """Following docs/index.md from top to bottom, every command gets the answer that the page tells of."""
    with empty_server.client() as client:
        answers = [send(client, command) for command in commands_of(REPOSITORY / "docs" / "index.md")]

    registered, reserved, read = [200, 200, 200], [201, 409, 201, 409, 201, 200, 200], [200] * 8
    shared_out = [201, 201, 201, 201, 201, 200, 404, 200, 200, 200, 200]
    assert [answer.status_code for answer in answers] == [
        *registered,
        *reserved,
        *read,
        200,
        200,
        201,
        *shared_out,
        400,
    ]
    said = "the new version goes out at noon"
    assert [each["body"] for each in answers[16].json()["messages"]] == [said]
    assert "[noon]" in answers[17].json()["messages"][0]["snippet"]
    assert answers[-2].json()[0]["id"] == "route"
    assert answers[-3].json()["counts"]["tasks"] == {"done": 1, "running": 1}
    conflict = answers[4].json()["conflicts"][0]
    assert (conflict["held_by"], conflict["reason"], conflict["example"]) == ("anna", "IM-1", "src/api/users.py")
    assert "did you mean 'path_pattern'?" in answers[-1].json()["message"]


def test_docs_readme_commands_answer_as_the_page_says(empty_server: ServerProcess) -> None:
    """The README's first example works as written: a grant, a conflict, a message, events."""
    with empty_server.client() as client:
        answers = [send(client, command) for command in commands_of(REPOSITORY / "README.md")]

    assert [answer.status_code for answer in answers] == [200, 201, 409, 200, 200, 200]
    assert answers[4].json()["messages"][0]["body"] == "when are you done with src/api?"


def test_docs_client_programs_run(
    empty_server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every program of docs/client.md runs to its end, in order, and those that print say what the page tells of."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTERMUTE_URL", empty_server.url)
    programs = _PROGRAM.findall((REPOSITORY / "docs" / "client.md").read_text())
    said = []

    for program in programs:
        exec(compile(program, "docs/client.md", "exec"), {"__name__": "__main__"})
        said.append(capsys.readouterr().out)

    assert len(programs) == 6
    assert "reservation_conflict: Held by anna" in said[0]
    assert "acme" in said[2]
    assert [line.split()[1] for line in said[3].splitlines()] == ["task.created", "task.claimed"]
    assert said[5].count("http://127.0.0.1:") == 2


def test_docs_readme_shows_the_two_commands_first() -> None:
    """The two commands that do everything are on the README's first screen."""
    first_screen = "\n".join((REPOSITORY / "README.md").read_text().splitlines()[:25])

    assert "make run" in first_screen
    assert "make test" in first_screen
