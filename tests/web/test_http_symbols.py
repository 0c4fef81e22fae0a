"""The symbol index over HTTP (claims.md 7)."""

import httpx
from calls import good, nothing_stored, refusal

FILES = [
    {
        "path": "src/billing.py", "sha256": "00", "language": "python",
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
        refusal(client.put(where, json=absolute), 400, "bad_pattern")
        refusal(client.put(where, json={"files": []}), 400, "invalid_request")

    assert "at [0].calls[0]" in told["message"]


def test_symbols_of_a_project_that_does_not_exist(client: httpx.Client, project: str) -> None:
    """Reading says that there is nothing, and makes nothing."""
    with nothing_stored(client, project):
        assert good(client.get("/api/projects/no-such/symbols"))["state"] == "unavailable"
