"""The symbol index over HTTP (claims.md 7)."""

import httpx
from calls import good, nothing_stored, refusal

FILES = [
    {
        "path": "src/billing.py", "sha256": "0" * 64, "language": "python",
        "symbols": [{"name": "compute_total", "kind": "function", "start": 1, "end": 9}], "calls": [],
    },
    {
        "path": "src/api/pay.py",
        "symbols": [{"name": "process_payment", "kind": "function", "start": 3, "end": 30}],
        "calls": [{"from": "process_payment", "to": "src/billing.py::compute_total", "confidence": 1.0}],
    },
]  # fmt: skip


def test_symbols_as_the_specification_has_them(client: httpx.Client, project: str) -> None:
    """Uploaded, summed up, forgotten."""
    where = f"/api/projects/{project}/symbols"

    uploaded = good(client.put(where, json={"commit": "467234bf", "files": FILES}))

    assert (uploaded["state"], uploaded["commit"]) == ("ok", "467234bf")
    assert (uploaded["files"], uploaded["symbols"], uploaded["calls"]) == (2, 2, 1)
    assert good(client.get(where)) == uploaded
    assert good(client.delete(where))["state"] == "unavailable"
    assert good(client.get(where))["commit"] is None


def test_symbols_that_are_none_are_refused_with_their_place(client: httpx.Client, project: str) -> None:
    """A mistyped field deep inside is named with its place; a bad path with what to do."""
    where = f"/api/projects/{project}/symbols"
    with nothing_stored(client, project):
        mistyped = {"commit": "c", "files": [{"path": "a.py", "calls": [{"frm": "f", "to": "g"}]}]}
        told = refusal(client.put(where, json=mistyped), 400, "invalid_request")
        absolute = {"commit": "c", "files": [{"path": "/a.py"}]}
        placed = refusal(client.put(where, json=absolute), 400, "invalid_request")
        refusal(client.put(where, json={"files": []}), 400, "invalid_request")

    assert "at [0].calls[0]" in told["message"]
    assert [each["field"] for each in placed["fields"]] == ["files[0].path"]


def test_symbols_of_a_project_that_does_not_exist(client: httpx.Client, project: str) -> None:
    """Reading says that there is nothing, and makes nothing."""
    with nothing_stored(client, project):
        assert good(client.get("/api/projects/no-such/symbols"))["state"] == "unavailable"


def test_symbols_that_are_too_much_are_refused_for_good(client: httpx.Client, project: str) -> None:
    """413 and what is too much; no Retry-After, since the same upload is too much the next time as well."""
    deep = "/".join(["directory"] * 60)
    where = f"/api/projects/{project}/symbols"
    refused: httpx.Response | None = None
    for number in range(100):
        calls = [{"from": "f", "to": f"{number}/{deep}/{each}.py::g"} for each in range(1_500)]
        answer = client.put(where, json={"commit": "c", "files": [{"path": f"{number}.py", "calls": calls}]})
        if answer.status_code != 200:
            refused = answer
            break

    assert refused is not None
    told = refusal(refused, 413, "symbol_index_full")
    assert (told["what"], told["would_be"] > told["limit"]) == ("graph_bytes", True)
    assert "retry-after" not in refused.headers
