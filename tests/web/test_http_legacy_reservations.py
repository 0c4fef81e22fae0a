"""What the original's clients expect of reservations: contract.md 1.7 and 6.

The deviations of design.md 9 and the rules of design.md 7 and 8 are named beside their tests.
"""

from datetime import datetime, timedelta

import httpx
import pytest
from calls import Json, events, good, head, refusal, register, reserve

RESERVATION_FIELDS = [
    "id", "agent_id", "project", "path_pattern", "exclusive", "reason", "created_at", "expires_at", "is_active",
]  # fmt: skip
CONFLICT_FIELDS = ["reservation_id", "agent_id", "held_by", "pattern", "reason", "expires_at"]


def lifetime(reservation: Json) -> timedelta:
    """Return how long the reservation runs, as its times say."""
    created, expires = (datetime.fromisoformat(reservation[field]) for field in ("created_at", "expires_at"))
    return expires - created


def ask(client: httpx.Client, project: str, agent: str, **more: object) -> httpx.Response:
    """Ask for a reservation, in the original's spelling unless told otherwise."""
    return client.post("/api/reservations", json={"project": project, "agent_id": agent, **more})


def listed(client: httpx.Client, **query: str) -> list[Json]:
    """Return a list of reservations."""
    found: list[Json] = good(client.get("/api/reservations", params=query))["reservations"]
    return found


def test_reserve_answers_with_the_original_fields_in_order(client: httpx.Client, project: str) -> None:
    """A grant is 201 with the original's fields first; a fence and the binding time left follow."""
    found = reserve(client, project, "a1", "pkg/handlers/*.go", reason="refactor", ttl_minutes=10)

    assert list(found)[: len(RESERVATION_FIELDS)] == RESERVATION_FIELDS
    assert (found["agent_id"], found["project"], found["path_pattern"]) == ("a1", project, "pkg/handlers/*.go")
    assert (found["exclusive"], found["is_active"]) == (True, True)
    assert lifetime(found) == timedelta(minutes=10)
    assert 590_000 < found["expires_in_ms"] <= 600_000
    assert found["fence"] > 0


@pytest.mark.parametrize(
    ("wish", "minutes", "is_clamped"),
    [
        pytest.param({}, 30, False, id="absent"),
        pytest.param({"ttl_minutes": 0}, 30, False, id="zero"),
        pytest.param({"ttl_minutes": -5}, 30, False, id="negative"),
        pytest.param({"ttl_minutes": 1}, 1, False, id="one"),
        pytest.param({"ttl_minutes": 1439}, 1439, False, id="below-the-ceiling"),
        pytest.param({"ttl_minutes": 1440}, 1440, False, id="at-the-ceiling"),
        pytest.param({"ttl_minutes": 1441}, 1440, True, id="above-the-ceiling"),
        pytest.param({"ttl_minutes": 2**31}, 1440, True, id="far-above"),
        pytest.param({"ttl_seconds": 90}, 1.5, False, id="seconds"),
    ],
)
def test_reserve_lasts_as_long_as_the_original_promises(
    client: httpx.Client, project: str, wish: dict[str, int], minutes: float, *, is_clamped: bool
) -> None:
    """Zero or fewer minutes mean 30; more than 24 h is clamped, and the answer says so (the original's [BUG-31])."""
    found = reserve(client, project, "a1", "src/**", **wish)

    assert lifetime(found) == timedelta(minutes=minutes)
    assert found.get("ttl_clamped", False) is is_clamped


def test_reserve_conflict_has_the_original_fields_in_order(client: httpx.Client, project: str) -> None:
    """A conflict is 409 `reservation_conflict` with every conflict, the oldest first."""
    anna = register(client, project, "anna")
    first = reserve(client, project, anna["agent_id"], "src/*.py", reason="refactor")
    second = reserve(client, project, "bare-id", "src/b/**")

    body = refusal(ask(client, project, "ben", path_pattern="src/**"), 409, "reservation_conflict")

    assert body["error"] == "reservation_conflict"
    assert [conflict["reservation_id"] for conflict in body["conflicts"]] == [first["id"], second["id"]]
    assert list(body["conflicts"][0])[:6] == CONFLICT_FIELDS
    assert [conflict["held_by"] for conflict in body["conflicts"]] == ["anna", "bare-id"]
    assert "reason" not in body["conflicts"][1]


@pytest.mark.parametrize(
    ("held", "asked", "agent", "status"),
    [
        pytest.param(True, True, "b", 409, id="exclusive-exclusive"),
        pytest.param(True, False, "b", 409, id="exclusive-shared"),
        pytest.param(False, True, "b", 409, id="shared-exclusive"),
        pytest.param(False, False, "b", 201, id="shared-shared"),
        pytest.param(True, True, "a", 201, id="own-exclusive"),
        pytest.param(False, True, "a", 201, id="own-shared-then-exclusive"),
    ],
)
def test_reserve_follows_the_conflict_matrix(
    client: httpx.Client, project: str, agent: str, status: int, *, held: bool, asked: bool
) -> None:
    """Two agents clash unless both share; nobody clashes with itself (contract.md 6.3)."""
    reserve(client, project, "a", "src/x.py", exclusive=held)

    assert ask(client, project, agent, path_pattern="src/x.py", exclusive=asked).status_code == status


@pytest.mark.parametrize(
    ("wish", "mode"),
    [
        pytest.param({"path_pattern": "x"}, "exclusive", id="omitted"),
        pytest.param({"path_pattern": "x", "exclusive": None}, "exclusive", id="null"),
        pytest.param({"path_pattern": "x", "exclusive": False}, "shared", id="original"),
        pytest.param({"path": "x", "shared": True}, "shared", id="requirements"),
        pytest.param({"pattern": "x", "mode": "S"}, "shared", id="letter"),
        pytest.param({"patterns": ["x"], "mode": "write"}, "exclusive", id="verb"),
        pytest.param({"glob_patterns": ["x"], "shared": False, "exclusive": True}, "exclusive", id="agreeing"),
    ],
)
def test_reserve_takes_every_spelling_of_the_mode(
    client: httpx.Client, project: str, wish: dict[str, object], mode: str
) -> None:
    """Omitted mode is exclusive; the three spellings are accepted (design.md 8)."""
    found = good(ask(client, project, "a1", **wish), 201)

    assert (found["mode"], found["exclusive"], found["shared"]) == (mode, mode == "exclusive", mode == "shared")


def test_reserve_refuses_contradicting_modes(client: httpx.Client, project: str) -> None:
    """A contradiction is 400 and names both fields."""
    body = refusal(ask(client, project, "a1", path_pattern="x", exclusive=True, shared=True), 400, "invalid_request")

    assert {field["field"] for field in body["fields"]} == {"exclusive", "shared"}


def test_reserve_takes_several_targets_as_one(client: httpx.Client, project: str) -> None:
    """Globs and literal paths make one reservation; a literal path has no wildcards."""
    found = good(ask(client, project, "a1", patterns=["docs/**", "docs/**"], paths=["app/[id]/page.tsx"]), 201)

    assert found["patterns"] == ["docs/**", "app/[id]/page.tsx"]
    assert found["path_pattern"] == "docs/**"
    assert ask(client, project, "b1", path="app/[id]/page.tsx").status_code == 409
    assert ask(client, project, "b1", path="app/i/page.tsx").status_code == 201


def test_reserve_of_deep_and_long_paths_is_exact(client: httpx.Client, project: str) -> None:
    """Deviation: `**` crosses directories, paths are normalised, and paths over 50 characters are fine."""
    deep = "src/components/dashboard/widgets/ChartContainer.test.tsx"
    assert reserve(client, project, "a1", "src/**")["path_pattern"] == "src/**"

    refused = refusal(ask(client, project, "b1", path_pattern=f"./{deep}"), 409)
    assert refused["conflicts"][0]["example"] == deep
    assert ask(client, project, "b1", path_pattern="srcs/x").status_code == 201


def test_reserve_in_another_project_never_conflicts(client: httpx.Client, project: str) -> None:
    """Projects share no lock."""
    reserve(client, project, "a1", "src/**")

    assert ask(client, f"{project}-other", "b1", path_pattern="src/**").status_code == 201


def test_reserve_by_the_201st_request_of_one_agent_is_refused(client: httpx.Client, project: str) -> None:
    """Deviation: the limit of 200 active reservations is 429 and named; one release makes room again."""
    for number in range(200):
        last = reserve(client, project, "a1", f"f{number}")
    before = head(client, project)

    body = refusal(ask(client, project, "a1", path_pattern="f200"), 429, "reservation_limit")

    assert (body["limit"], body["held"]) == (200, 200)
    assert head(client, project) == before
    assert ask(client, project, "b1", path_pattern="f200").status_code == 201
    good(client.delete(f"/api/reservations/{last['id']}"))
    reserve(client, project, "a1", "f201")


@pytest.mark.parametrize(
    "pattern", ["", "/etc/passwd", "C:\\x", "a/../b", "src/[a", "src\\", "a\nb", "x" * 1025, "a*" * 33]
)
def test_reserve_of_a_bad_pattern_is_refused_with_the_reason(client: httpx.Client, project: str, pattern: str) -> None:
    """Deviation: a bad pattern is 400 with the reason, not an empty 500; on reserving as on checking."""
    refusal(ask(client, project, "a1", path_pattern=pattern), 400, "bad_pattern")
    if pattern:
        asked = {"project": project, "pattern": pattern}
        refusal(client.get("/api/reservations/check", params=asked), 400, "bad_pattern")

    assert head(client, project) == 0


def test_list_by_project_has_active_ones_newest_first(client: httpx.Client, project: str) -> None:
    """`project=` lists what is active, the newest first."""
    first, second, third = (reserve(client, project, "a1", name) for name in "xyz")
    good(client.delete(f"/api/reservations/{second['id']}"))

    found = listed(client, project=project)

    assert [each["id"] for each in found] == [third["id"], first["id"]]
    assert list(found[0])[:5] == RESERVATION_FIELDS[:5]


def test_list_by_agent_has_all_that_it_ever_had(client: httpx.Client, project: str) -> None:
    """`agent=` lists ended ones too, with when and how they ended; `active` narrows it."""
    first, second = (reserve(client, project, "a1", name) for name in "xy")
    reserve(client, project, "b1", "z")
    good(client.delete(f"/api/reservations/{first['id']}"))

    found = listed(client, project=project, agent="a1")

    assert [(each["id"], each["is_active"]) for each in found] == [(second["id"], True), (first["id"], False)]
    assert found[1]["released_at"].endswith("Z")
    assert found[1]["ended"] == "released"
    assert [each["id"] for each in listed(client, project=project, agent="a1", active="true")] == [second["id"]]


def test_list_pages_by_cursor(client: httpx.Client, project: str) -> None:
    """Deviation: lists take `limit` and `cursor`; following them gives each row once."""
    made = [reserve(client, project, "a1", str(number))["id"] for number in range(5)]
    seen: list[str] = []
    cursor: int | None = None
    for _ in range(4):
        asked = {"project": project, "limit": "2", **({} if cursor is None else {"cursor": str(cursor)})}
        page = good(client.get("/api/reservations", params=asked))
        seen += [each["id"] for each in page["reservations"]]
        cursor = page.get("next_cursor")
        if cursor is None:
            break

    assert seen == made[::-1]


def test_check_names_what_is_in_the_way(client: httpx.Client, project: str) -> None:
    """A check answers the conflicts in the original's shape and `conflict: true`."""
    held = reserve(client, project, "a1", "pkg/handlers/*.go", reason="refactor")

    found = good(client.get("/api/reservations/check", params={"project": project, "pattern": "pkg/handlers/core.go"}))

    assert found["conflict"] is True
    assert [conflict["reservation_id"] for conflict in found["conflicts"]] == [held["id"]]
    assert list(found["conflicts"][0])[:6] == CONFLICT_FIELDS


def test_check_of_a_free_path_is_an_empty_list(client: httpx.Client, project: str) -> None:
    """Deviation: a free path answers `[]` and `conflict: false`, not null, and reserves nothing."""
    found = good(client.get("/api/reservations/check", params={"project": project, "pattern": "docs/x.md"}))

    assert (found["conflict"], found["conflicts"]) == (False, [])
    assert head(client, project) == 0


@pytest.mark.parametrize("naming", ["agent", "agent_id", "header"])
def test_check_leaves_the_callers_own_locks_out(client: httpx.Client, project: str, naming: str) -> None:
    """Deviation: a caller that names itself is not in its own way (the original's [BUG-29])."""
    reserve(client, project, "a1", "src/**")
    asked = {"project": project, "pattern": "src/x"}

    headers = {"X-Agent-ID": "a1"} if naming == "header" else {}
    query = asked if naming == "header" else {**asked, naming: "a1"}

    assert good(client.get("/api/reservations/check", params=query, headers=headers))["conflict"] is False
    assert good(client.get("/api/reservations/check", params=asked))["conflict"] is True


@pytest.mark.parametrize(("text", "is_free"), [("false", True), ("true", False), ("no", False), ("", False)])
def test_check_reads_exclusive_as_the_original_does(
    client: httpx.Client, project: str, text: str, *, is_free: bool
) -> None:
    """Anything but the text `false` asks for exclusive use."""
    reserve(client, project, "a1", "src/**", exclusive=False)

    asked = {"project": project, "pattern": "src/x", "exclusive": text}

    assert good(client.get("/api/reservations/check", params=asked))["conflict"] is not is_free


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        pytest.param({"X-Agent-ID": "anna"}, {}, id="header-name"),
        pytest.param({"X-Agent-ID": "{id}"}, {}, id="header-id"),
        pytest.param({}, {"agent_id": "{id}"}, id="query"),
        pytest.param({}, {"agent": "anna"}, id="query-alias"),
        pytest.param({"X-Agent-ID": "{id}", "X-Agent-Token": "{token}"}, {}, id="token"),
        pytest.param({}, {}, id="sdk"),
    ],
)
def test_release_works_for_the_owner(
    client: httpx.Client, project: str, headers: dict[str, str], query: dict[str, str]
) -> None:
    """Deviation: by header, by the query, by token, and without any of them in local mode."""
    anna = register(client, project, "anna")
    held = reserve(client, project, anna["agent_id"], "src/**")

    def filled(fields: dict[str, str]) -> dict[str, str]:
        return {name: text.format(id=anna["agent_id"], token=anna["token"]) for name, text in fields.items()}

    found = good(client.delete(f"/api/reservations/{held['id']}", headers=filled(headers), params=filled(query)))

    assert found == {"released": [held["id"]]}
    assert listed(client, project=project) == []


def test_release_refusals_keep_the_original_order(client: httpx.Client, project: str) -> None:
    """Unknown is 404, not yours 403, already released 404; nothing of it is logged."""
    held = reserve(client, project, "a1", "src/**")
    path = f"/api/reservations/{held['id']}"
    before = head(client, project)

    refusal(client.delete("/api/reservations/nope", headers={"X-Agent-ID": "a1"}), 404, "unknown_reservation")
    refusal(client.delete(path, headers={"X-Agent-ID": "b1"}), 403, "not_yours")
    refusal(client.delete(path, headers={"X-Agent-ID": "b1"}, params={"agent_id": "a1"}), 403, "not_yours")
    refusal(client.delete(path, params={"agent_id": "b1"}), 403, "not_yours")
    assert head(client, project) == before
    good(client.delete(path, headers={"X-Agent-ID": "a1"}))
    refusal(client.delete(path, headers={"X-Agent-ID": "b1"}), 403, "not_yours")
    refusal(client.delete(path, headers={"X-Agent-ID": "a1"}), 404, "reservation_ended")
    assert head(client, project) == before + 1


def test_release_of_all_ends_one_agents_reservations_only(client: httpx.Client, project: str) -> None:
    """All of an agent's reservations end with one call, those of others stay."""
    mine = [reserve(client, project, "a1", name)["id"] for name in "xy"]
    other = reserve(client, project, "b1", "z")

    found = good(client.delete("/api/reservations", params={"project": project, "agent_id": "a1"}))

    assert sorted(found["released"]) == sorted(mine)
    assert [each["id"] for each in listed(client, project=project)] == [other["id"]]
    ended = events(client, project, type="reservation.released")
    assert sorted(event["reservation_id"] for event in ended) == sorted(mine)


def test_renewal_counts_from_now_and_is_the_holders_alone(client: httpx.Client, project: str) -> None:
    """Renewing sets a new time from now, with the default and the ceiling of reserving."""
    held = reserve(client, project, "a1", "src/**", ttl_minutes=1)
    path = f"/api/reservations/{held['id']}"

    renewed = good(client.patch(path, json={"agent_id": "a1", "ttl_minutes": 5000}))

    assert renewed["ttl_clamped"] is True
    assert 86_390_000 < renewed["expires_in_ms"] <= 86_400_000
    assert 1_790_000 < good(client.patch(path, headers={"X-Agent-ID": "a1"}))["expires_in_ms"] <= 1_800_000
    refusal(client.patch(path, json={"agent_id": "b1"}), 403, "not_yours")
    refusal(client.patch("/api/reservations/nope", json={}), 404, "unknown_reservation")


def test_one_reservation_is_read_by_its_id_alone(client: httpx.Client, project: str) -> None:
    """A minted id finds its project without being told (design.md 6)."""
    held = reserve(client, project, "a1", "src/**")

    found = good(client.get(f"/api/reservations/{held['id']}"))

    assert (found["id"], found["project"], found["is_active"]) == (held["id"], project, True)


def test_expired_reservation_stops_blocking_and_is_announced(client: httpx.Client, project: str) -> None:
    """A lease ends at its time, not before; the log says `reservation.expired` with the original's fields and the reason."""
    held = reserve(client, project, "a1", "src/**", ttl_seconds=1)
    assert ask(client, project, "b1", path_pattern="src/x").status_code == 409

    asked = {"project": project, "since_cursor": held["fence"], "wait_seconds": 10, "type": "reservation.expired"}
    found = good(client.get("/api/events", params=asked))["events"]

    assert [(event["reservation_id"], event["reason"]) for event in found] == [(held["id"], "expired")]
    original = {"type": "reservation.expired", "project": project, "agent_id": "a1", "path_pattern": "src/**"}
    assert original.items() <= found[0].items()
    ended = datetime.fromisoformat(found[0]["created_at"]) - datetime.fromisoformat(held["created_at"])
    assert timedelta(seconds=0.99) < ended < timedelta(seconds=5)
    assert ask(client, project, "b1", path_pattern="src/x").status_code == 201
    assert good(client.get(f"/api/reservations/{held['id']}"))["ended"] == "expired"
