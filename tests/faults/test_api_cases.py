"""What schemathesis makes of the OpenAPI document: every answer is one that the document allows."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from api_cases import cases_of, operations_of, run_cases
from api_world import DOCUMENT
from schemathesis import GenerationMode
from server_process import ServerProcess

CASES = 500
SEED = 20_260_722
JSON = "application/json"


def test_every_answer_is_one_that_the_document_allows(tmp_path: Path) -> None:
    """Over all operations, with what fits the document and with what does not: no fault, nothing undocumented."""
    with ServerProcess(tmp_path) as server:
        tried = run_cases(server.url, SEED, CASES)
        assert [line for line in server.lines if '"level": "error"' in line] == []

    assert tried.problems == []
    assert tried.cases >= CASES
    assert len(tried.operations) == sum(len(each) for each in DOCUMENT["paths"].values())
    assert len(tried.accepted) > 0.7 * len(tried.operations), "the cases reach what they are about"


def test_seed_gives_the_same_cases_again() -> None:
    """A problem can be had again: the number of a run decides what is drawn."""
    [operation] = [each for each in operations_of(DOCUMENT) if each.label == "POST /api/reservations"]

    first, again = (
        [(case.body, case.query, dict(case.headers)) for case in cases_of(operation, GenerationMode.POSITIVE, 7, 20)]
        for _ in range(2)
    )

    assert first == again
    assert len(first) == 20


@contextmanager
def answering(status: int, content_type: str, body: bytes) -> Iterator[str]:
    """Serve one answer to everything; return the address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as planted:
        thread = threading.Thread(target=planted.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{planted.server_port}"
        finally:
            planted.shutdown()
            thread.join()


REFUSAL = {"error": "invalid_request", "message": "Correct these fields and send the request again: x."}


@pytest.mark.parametrize(
    ("status", "content_type", "body", "problem"),
    [
        (500, JSON, {"error": "internal_error", "message": REFUSAL["message"]}, "fault of the server"),
        (418, JSON, REFUSAL, "Undocumented status code"),
        (200, "text/html", {"projects": []}, "Undocumented Content-Type"),
        (200, JSON, {"projects": [{"project": 7}]}, "Response violates schema"),
        (200, JSON, {}, "Response violates schema"),
        (400, JSON, {**REFUSAL, "error": "no_such_code"}, "undocumented code 'no_such_code'"),
        (400, JSON, {**REFUSAL, "message": "no"}, "no sentence"),
        (400, JSON, {"oops": True}, "no body that tells of the error"),
    ],
)
def test_planted_answer_is_reported(status: int, content_type: str, body: dict[str, object], problem: str) -> None:
    """Control: each kind of answer that the document does not allow is found."""
    operations = [each for each in operations_of(DOCUMENT) if each.label == "GET /api/projects"]
    with answering(status, content_type, json.dumps(body).encode()) as url:
        tried = run_cases(url, SEED, 1, operations)

    assert any(problem in each for each in tried.problems), tried.problems


def test_allowed_answer_is_not_reported() -> None:
    """Nor is the planted server itself a problem."""
    operations = [each for each in operations_of(DOCUMENT) if each.label == "GET /api/projects"]
    with answering(200, JSON, b'{"projects": []}') as url:
        assert run_cases(url, SEED, 1, operations).problems == []
