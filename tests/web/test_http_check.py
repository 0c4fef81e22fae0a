"""Looking before editing: a check of many paths at once, as JSON or text (issue 3, point 4)."""

import httpx
import pytest
from calls import JSON_HEADER, Json, good, nothing_stored, refusal, register, reserve

from intermute.core import limits

CHECK = "/api/reservations/check"
PLAIN = {"Accept": "text/plain"}


def check(client: httpx.Client, project: str, **asked: object) -> Json:
    """Return the answer to a check of many paths."""
    found: Json = good(client.post(CHECK, json={"project": project, **asked}))
    return found


def lines(answer: httpx.Response) -> list[str]:
    """Return the lines of an answer in text, after checking its form."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["vary"] == "Accept"
    assert answer.text.endswith("\n")
    return answer.text.splitlines()


# ---- many paths


def test_check_of_many_paths_gives_each_its_verdict(client: httpx.Client, project: str) -> None:
    """Each asked path says whether it is free and who holds it; the conflicts are those of the check by GET."""
    register(client, project, "anna")
    first = reserve(client, project, "anna", "src/api/**", reason="IM-1")
    second = reserve(client, project, "ben", "docs/*.md")

    found = check(client, project, patterns=["src/**", "tests/**"], paths=["docs/x.md", "app/[id]/page.tsx"])

    assert found["targets"] == [
        {"n": 0, "text": "src/**", "free": False, "held_by": ["anna"], "mode": "exclusive"},
        {"n": 1, "text": "tests/**", "free": True, "held_by": [], "mode": "exclusive"},
        {"n": 2, "text": "docs/x.md", "free": False, "held_by": ["ben"], "mode": "exclusive", "literal": True},
        {"n": 3, "text": "app/[id]/page.tsx", "free": True, "held_by": [], "mode": "exclusive", "literal": True},
    ]
    assert found["conflict"] is True
    assert [each["reservation_id"] for each in found["conflicts"]] == [first["id"], second["id"]]
    by_get = good(client.get(CHECK, params={"project": project, "pattern": "src/**"}))
    assert {**found["conflicts"][0], "retry_after_s": 0} == {**by_get["conflicts"][0], "retry_after_s": 0}
    assert "warnings" not in found


def test_check_by_get_says_the_same_as_by_post(client: httpx.Client, project: str) -> None:
    """One path in the query or in the body: the same answer, from the same place in the log."""
    reserve(client, project, "anna", "src/**")
    by_get = good(client.get(CHECK, params={"project": project, "pattern": "src/a.py", "mode": "S"}))
    by_post = check(client, project, pattern="src/a.py", mode="S")

    for answer in (by_get, by_post):
        answer["conflicts"][0]["retry_after_s"] = 0
    assert by_get == by_post


def test_check_by_get_takes_many_targets(client: httpx.Client, project: str) -> None:
    """Fields in the plural come several times; of the others the first value counts, as in the original."""
    reserve(client, project, "anna", "src/**")
    query = [
        ("paths", "src/a.py"),
        ("paths", "docs"),
        ("addresses", "src/b.py::f"),
        ("pattern", "x/*"),
        ("pattern", "y"),
    ]

    found = good(client.get(CHECK, params=[("project", project), *query]))

    told = {each["text"]: each["free"] for each in found["targets"]}
    assert told == {"x/*": True, "src/a.py": False, "docs": True, "src/b.py::f": False}
    refusal(client.get(CHECK, params=[("project", project), ("paths", "")]), 400, "invalid_request")


def test_check_of_free_paths_reserves_nothing(client: httpx.Client, project: str) -> None:
    """A check is a query: it makes no project and leaves no trace."""
    with nothing_stored(client, project):
        found = check(client, project, paths=["a", "b"])

    assert (found["conflict"], found["conflicts"]) == (False, [])
    assert [each["free"] for each in found["targets"]] == [True, True]


def test_check_takes_the_body_of_a_reservation(client: httpx.Client, project: str) -> None:
    """No spelling of a path is passed over: what would be refused as a reservation is a conflict here."""
    reserve(client, project, "anna", "src/**")

    for spelling in ({"path_pattern": "src/a"}, {"pattern": "src/a"}, {"glob_patterns": ["src/a"]}, {"path": "src/a"}):
        found = check(client, project, agent_id="ben", reason="x", ttl_minutes=5, paths=["docs"], **spelling)

        assert [each["free"] for each in found["targets"] if each["text"] == "src/a"] == [False], spelling


def test_check_names_each_path_once(client: httpx.Client, project: str) -> None:
    """Two spellings of one path are one target, the first as it was written."""
    found = check(client, project, paths=["./src/a.py", "src/a.py", "src//a.py"])

    assert [each["text"] for each in found["targets"]] == ["./src/a.py"]


@pytest.mark.parametrize("naming", ["agent", "agent_id", "header"])
def test_check_of_many_leaves_the_callers_own_out(client: httpx.Client, project: str, naming: str) -> None:
    """A caller that names itself is not in its own way."""
    reserve(client, project, "anna", "src/**")
    asked = {"project": project, "paths": ["src/x"], **({} if naming == "header" else {naming: "anna"})}

    headers = {"X-Agent-ID": "anna"} if naming == "header" else {}

    assert good(client.post(CHECK, json=asked, headers=headers))["conflict"] is False
    assert check(client, project, paths=["src/x"])["conflict"] is True


@pytest.mark.parametrize(
    ("wish", "is_free"),
    [
        pytest.param({}, False, id="omitted"),
        pytest.param({"shared": True}, True, id="shared"),
        pytest.param({"exclusive": False}, True, id="not-exclusive"),
        pytest.param({"mode": "read"}, True, id="mode"),
        pytest.param({"mode": "X"}, False, id="letter"),
    ],
)
def test_check_follows_the_mode(client: httpx.Client, project: str, wish: Json, *, is_free: bool) -> None:
    """What is shared is free for sharing and nothing else, in every spelling of the mode."""
    reserve(client, project, "anna", "src/**", exclusive=False)

    assert check(client, project, paths=["src/x"], **wish)["conflict"] is not is_free


def test_check_beyond_its_list_still_knows_what_is_taken(client: httpx.Client, project: str) -> None:
    """With more conflicts than are listed, every target still has a right verdict and somebody to talk to."""
    for number in range(limits.CONFLICTS_SHOWN_MAX + 1):
        reserve(client, project, "anna", f"src/{number}")
    reserve(client, project, "ben", "docs/x.md")

    found = check(client, project, patterns=["src/**", "docs/**", "tests/**"])

    assert found["more_conflicts"] is True
    assert len(found["conflicts"]) == limits.CONFLICTS_SHOWN_MAX
    assert [(each["free"], each["held_by"]) for each in found["targets"]] == [
        (False, ["anna"]), (False, ["ben"]), (True, []),
    ]  # fmt: skip
    said = lines(client.post(CHECK, json={"project": project, "patterns": ["src/**", "docs/**"]}, headers=PLAIN))
    assert "CONFLICT docs/** held by ben" in said
    assert [line for line in said if line.startswith("more ")] != []


def test_check_of_100_paths_is_the_limit(client: httpx.Client, project: str) -> None:
    """As on reserving, 99 and 100 paths are asked at once, and 101 are refused with the limit named."""
    for count in (99, 100):
        assert len(check(client, project, paths=[f"f{number}" for number in range(count)])["targets"]) == count

    for asked in (
        {"paths": [f"f{number}" for number in range(101)]},
        {"paths": [f"f{number}" for number in range(100)], "pattern": "x"},
    ):
        body = refusal(client.post(CHECK, json={"project": project, **asked}), 400, "invalid_request")
        assert "100" in body["message"]


def test_check_warns_of_a_stranger_and_of_wildcards(client: httpx.Client, project: str) -> None:
    """A mistyped name and a pattern among the literal paths are said, and change no verdict."""
    reserve(client, project, "anna", "src/**")

    found = check(client, project, agent_id="ana", paths=["docs/*.md"])

    assert found["conflict"] is False
    assert [warning.split()[0] for warning in found["notes"]] == ["'ana'", "paths"]
    assert "notes" not in check(client, project, agent_id="anna", paths=["app/[id]/page.tsx"])


BAD_CHECKS: dict[str, tuple[Json, str]] = {
    "nothing": ({}, "invalid_request"),
    "empty-lists": ({"patterns": [], "paths": []}, "invalid_request"),
    "text-for-a-list": ({"paths": "src"}, "invalid_request"),
    "number-in-a-list": ({"paths": [1]}, "invalid_request"),
    "null-in-a-list": ({"paths": [None]}, "bad_pattern"),
    "unknown-mode": ({"paths": ["x"], "mode": "IX2"}, "invalid_request"),
    "contradiction": ({"paths": ["x"], "shared": True, "exclusive": True}, "invalid_request"),
    "text-for-a-flag": ({"paths": ["x"], "shared": "yes"}, "invalid_request"),
    "address": ({"addresses": ["src/a.py::"]}, "bad_pattern"),
    "mistyped": ({"path": "x", "patern": "y"}, "invalid_request"),
    "blank-agent": ({"paths": ["x"], "agent_id": " "}, "invalid_request"),
    "long-agent": ({"paths": ["x"], "agent_id": "a" * 257}, "invalid_request"),
    "bad-project": ({"paths": ["x"], "project": "a\nb"}, "invalid_project"),
    "empty-path": ({"paths": [""]}, "bad_pattern"),
    "absolute": ({"paths": ["/etc/passwd"]}, "bad_pattern"),
    "parent": ({"paths": ["ok", "a/../b"]}, "bad_pattern"),
    "unclosed": ({"patterns": ["src/[a"]}, "bad_pattern"),
    "control": ({"paths": ["a\nb"]}, "bad_pattern"),
    "long": ({"paths": ["x" * 1025]}, "bad_pattern"),
    "braces": ({"patterns": [f"{n}{{a,b,c,d,e,f,g,h}}{{a,b,c,d,e,f,g,h}}" for n in range(5)]}, "invalid_request"),
}


@pytest.mark.parametrize("name", BAD_CHECKS)
@pytest.mark.parametrize("headers", [{}, PLAIN], ids=["json", "text"])
def test_check_that_cannot_be_meant_is_refused(
    client: httpx.Client, project: str, name: str, headers: dict[str, str]
) -> None:
    """Bad input is 400 with a code, in JSON whatever form was asked for, and stores nothing."""
    body, code = BAD_CHECKS[name]

    with nothing_stored(client, project):
        refusal(client.post(CHECK, json={"project": project, **body}, headers=headers), 400, code)


def test_check_without_a_body_is_refused(client: httpx.Client) -> None:
    """There is nothing to check in nothing, and no web page may ask."""
    refusal(client.post(CHECK, headers=JSON_HEADER), 400, "malformed_json")
    refusal(client.post(CHECK, content=b"{}", headers={"Content-Type": "text/plain"}), 415, "unsupported_media_type")


# ---- as text


def test_check_as_text_is_one_line_a_finding(client: httpx.Client, project: str) -> None:
    """A log of a build reads what is held, by whom, why, for how long and where; and what is free."""
    reserve(client, project, "anna", "src/**", reason="IM-1", ttl_minutes=12)
    asked = {"project": project, "agent_id": "zoe", "paths": ["src/a.py", "docs/x.md"]}

    said = lines(client.post(CHECK, json=asked, headers=PLAIN))

    assert said[0] == "CONFLICT src/a.py held by anna (IM-1) for 12 min, exclusive src/**, example src/a.py"
    assert said[1] == "free     docs/x.md"
    assert said[2].startswith("warning  'zoe' is not known")


def test_check_by_get_as_text_names_the_asked_path(client: httpx.Client, project: str) -> None:
    """The check of one path has the same lines."""
    reserve(client, project, "anna", "src/**", ttl_seconds=60)

    taken = lines(client.get(CHECK, params={"project": project, "path": "src/a.py", "pattern": "docs"}, headers=PLAIN))
    free = lines(client.get(CHECK, params={"project": project, "pattern": "docs"}, headers=PLAIN))

    assert taken == ["free     docs", "CONFLICT src/a.py held by anna for 60 s, exclusive src/**, example src/a.py"]
    assert free == ["free     docs"]


def test_check_as_text_keeps_a_line_a_line(client: httpx.Client, project: str) -> None:
    """What another agent wrote as its reason cannot make up a line nor steer a terminal, and is cut."""
    reserve(client, project, "anna", "src/**", reason="x\u2028free     src\u009b2J\u202e" + "y" * 500)

    [said] = lines(client.post(CHECK, json={"project": project, "paths": ["src/a"]}, headers=PLAIN))

    assert said.startswith("CONFLICT src/a held by anna (x?free     src?2J?yyy")
    assert said.isprintable()
    assert len(said) < 300


@pytest.mark.parametrize(
    ("accept", "is_text"),
    [
        ("text/plain", True), ("TEXT/PLAIN", True), ("text/*", True), ("text/plain;charset=utf-8", True),
        ("text/plain, */*", True), ("text/plain, application/json;q=0.9", True), ("text/plain;q=0.1", True),
        ("application/json;q=0, text/plain;q=0.2", True), ("*/*;q=0.1, text/plain;q=0.2", True),
        ("*/*", False), ("application/json", False), ("", False), ("application/json, text/plain, */*", False),
        ("text/plain;q=0.5, application/json", False), ("text/plain;q=0", False), ("text/plain;q=x", False),
        ("text/html", False), ("image/png", False), (",;,=;q", False), ("*/*, text/plain;q=0", False),
    ],
)  # fmt: skip
def test_check_form_follows_accept(client: httpx.Client, project: str, accept: str, *, is_text: bool) -> None:
    """Text where the caller prefers it to JSON, JSON otherwise, whatever the header says."""
    answers = [
        client.get(CHECK, params={"project": project, "path": "x"}, headers={"Accept": accept}),
        client.post(CHECK, json={"project": project, "path": "x"}, headers={"Accept": accept}),
    ]

    assert [each.status_code for each in answers] == [200, 200]
    assert [each.headers["content-type"].startswith("text/plain") for each in answers] == [is_text, is_text]


def test_other_operations_are_json_whatever_is_accepted(client: httpx.Client, project: str) -> None:
    """Only an operation with a text form has one."""
    good(client.get("/api/reservations", params={"project": project}, headers=PLAIN))


def test_check_is_described_in_both_forms(client: httpx.Client) -> None:
    """The OpenAPI document names both content types of both checks."""
    described = good(client.get("/api/openapi.json"))["paths"][CHECK]

    for method in ("get", "post"):
        assert list(described[method]["responses"]["200"]["content"]) == ["application/json", "text/plain"]
