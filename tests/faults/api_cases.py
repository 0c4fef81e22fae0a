"""Requests that schemathesis makes from docs/openapi.json, sent to a real server, and what each answer must be.

An answer that the document does not allow is a problem: of its status, its type, its headers, its body, or of the code in a
refusal. What schemathesis draws rarely hits anything that exists, so many values are replaced by such as mean something.
Source: guarantees.md 2, "API".
"""

import json
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import requests
import schemathesis
from api_world import DOCUMENT, Case, World, described
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from server_process import PATIENCE_S

# Any in this module: schemathesis's cases and operations hold whatever JSON holds.
Operation = Any

CASES_OF_A_PROJECT: Final = 3_000
"""Cases after which the next project begins: a full one only refuses."""


@dataclass
class Tried:
    """What was sent, and what was wrong with the answers."""

    statuses: Counter[str] = field(default_factory=Counter)
    operations: set[str] = field(default_factory=set)
    accepted: set[str] = field(default_factory=set)
    """The operations that have answered 2xx."""
    problems: list[str] = field(default_factory=list)

    @property
    def cases(self) -> int:
        """How many were sent."""
        return sum(self.statuses.values())


def operations_of(document: Mapping[str, Any]) -> list[Operation]:
    """Return the operations of an OpenAPI document, in its order."""
    found: list[Operation] = []
    for each in schemathesis.openapi.from_dict(dict(document)).get_all_operations():
        assert isinstance(each, Ok), f"schemathesis cannot read the document: {each}"
        found.append(each.ok())
    return found


def cases_of(operation: Operation, mode: GenerationMode, number: int, count: int) -> list[Case]:
    """Draw cases that fit the document, or that break it in some place; none where there is nothing to break."""
    drawn: list[Case] = []

    @seed(number)
    @settings(
        max_examples=count, phases=[Phase.generate], database=None, deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(operation.as_strategy(generation_mode=mode))
    def draw(case: Case) -> None:
        drawn.append(case)

    try:
        draw()
    except Unsatisfiable:
        return []
    return drawn[:count]


def run_cases(url: str, number: int, count: int, operations: list[Operation] | None = None) -> Tried:
    """Send so many cases, evenly over the operations and both modes, and judge the answers. The seed is `number`."""
    operations = operations or operations_of(DOCUMENT)
    tried = Tried()
    with requests.Session() as session:
        session.trust_env = False
        round_number = 0
        while tried.cases < count:
            chance = random.Random(f"{number} {round_number}")
            each = -(-min(count - tried.cases, CASES_OF_A_PROJECT) // (2 * len(operations)))
            world = World(f"cases-{round_number}", chance)
            world.furnish(session, url)
            for operation in operations:
                for mode in GenerationMode:
                    for case in cases_of(operation, mode, chance.getrandbits(32), each):
                        world.aim(case, share=0.8 if mode.is_positive else 0.3)
                        judge(case, url, session, world, tried)
            round_number += 1
    return tried


def judge(case: Case, url: str, session: requests.Session, world: World, tried: Tried) -> None:
    """Send a case and note what the document does not allow."""
    label = case.operation.label
    sent = ""
    try:
        sent = case.as_curl_command()[:1500]
        response = case.call(base_url=url, session=session, timeout=PATIENCE_S, allow_redirects=False)
    except requests.RequestException as error:
        tried.problems.append(f"{label}: no answer: {error}; {sent}")
        tried.statuses["none"] += 1
        return
    tried.statuses[str(response.status_code)] += 1
    tried.operations.add(label)
    if response.status_code < 300:
        tried.accepted.add(label)
        world.learn(case, response.content)
    wrong = _wrong_refusal(case, response) if response.status_code >= 300 else []
    try:
        case.validate_response(
            response,
            checks=[
                status_code_conformance, content_type_conformance, response_headers_conformance,
                response_schema_conformance,
            ],
        )  # fmt: skip
    except FailureGroup as failures:
        wrong += [f"{each.title}: {each.message}" for each in failures.exceptions]
    tried.problems += [f"{label}: {response.status_code}: {each}; {response.text[:300]!r}; {sent}" for each in wrong]


def _wrong_refusal(case: Case, response: Any) -> list[str]:
    """Return what is wrong with a refusal: a fault of the server, or a code or a sentence that is not as documented."""
    if response.status_code >= 500:
        return ["fault of the server"]
    codes = described(case).get("responses", {}).get(str(response.status_code), {}).get("description", "").split(", ")
    try:
        body = json.loads(response.content)
        code, message = body.get("code", body["error"]), body["message"]
    except (ValueError, LookupError, TypeError, AttributeError):
        return ["no body that tells of the error"]
    wrong = [] if code in codes else [f"undocumented code {code!r}"]
    return wrong if isinstance(message, str) and len(message) > 10 else [*wrong, "no sentence that says what to do"]
