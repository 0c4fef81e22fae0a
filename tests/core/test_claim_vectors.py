"""The published vectors of claims: pairs, pairs of operations, refused targets."""

import json
from pathlib import Path
from typing import NotRequired, TypedDict

from pytest import mark, raises

from intermute.core.claim_records import Claim, ClaimTarget, Standing, with_destinations
from intermute.core.claim_targets import Target, parse_address, parse_glob, target_relation
from intermute.core.claims import BranchPolicy, Policy, decide
from intermute.core.findings import Finding, FindingKind, Risk
from intermute.core.forecast import forecast
from intermute.core.ids import AgentId
from intermute.core.lock_table import Mode
from intermute.core.patterns import BadPattern, overlap
from intermute.core.plan_steps import Step
from intermute.core.relations import mirrored
from intermute.core.work_operations import OPERATION_BY_NAME, mode_of

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "claims.json").read_text())


class Side(TypedDict):
    """One claim of a vector."""

    target: str
    mode: str
    holder: str | None
    literal: NotRequired[bool]
    op: NotRequired[str | None]
    to: NotRequired[str | None]
    branch: NotRequired[str]
    worktree: NotRequired[str]


class Pair(TypedDict):
    """A row of `pairs`."""

    id: str
    requested: Side
    held: Side
    expect: str
    kind: str | None
    relation: str
    certainty: str | None
    confidence: float
    example: str | None
    policy: NotRequired[str]


class OperationPair(TypedDict):
    """A row of `operations`."""

    id: str
    a: Side
    b: Side
    risk: str
    kind: str | None
    confidence: float
    relation: str | None


PAIRS: list[Pair] = VECTORS["pairs"]
OPERATION_PAIRS: list[OperationPair] = VECTORS["operations"]


def _target(side: Side) -> Target:
    return (parse_address if side.get("literal") else parse_glob)(side["target"])


def _claim(side: Side, holder: str, *, standing: Standing) -> Claim:
    op, to = side.get("op"), side.get("to")
    operation = OPERATION_BY_NAME[op] if op else None
    mode = mode_of(operation) if operation and "mode" not in side else Mode(side["mode"])
    target = ClaimTarget(0, _target(side), mode, operation, parse_address(to) if to else None)
    return Claim(
        id=holder,
        sequence=1,
        holder=AgentId(side["holder"] or holder),
        targets=with_destinations([target]),
        standing=standing,
        branch=side.get("branch", "main"),
        worktree=side.get("worktree"),
    )


def _pair(pair: Pair, *, is_turned: bool) -> list[Finding]:
    requested = _claim(pair["requested"], "anna", standing=Standing.ENFORCED)
    held = _claim(pair["held"], "ben", standing=Standing.ENFORCED)
    policy = Policy(branch_policy=BranchPolicy(pair.get("policy", "any")))
    return decide(held, requested, policy) if is_turned else decide(requested, held, policy)


def test_vectors_are_complete() -> None:
    """Nothing was dropped from the file on the way."""
    assert (len(PAIRS), len(OPERATION_PAIRS), len(VECTORS["refused"])) == (60, 14, 8)


@mark.parametrize("pair", PAIRS, ids=lambda pair: pair["id"])
def test_pair_gets_its_published_verdict(pair: Pair) -> None:
    """Verdict, kind, confidence, certainty and example of the primary finding are the published ones."""
    findings = _pair(pair, is_turned=False)

    assert ([finding.verdict.value for finding in findings] or ["ok"])[0] == pair["expect"]
    if findings:
        primary = findings[0]
        assert primary.kind.value == pair["kind"]
        assert primary.relation.value == pair["relation"]
        assert primary.confidence == pair["confidence"]
        assert primary.certainty.value == pair["certainty"]
        assert primary.example == pair["example"]
    else:
        assert pair["kind"] in (None, "compatible")


@mark.parametrize("pair", PAIRS, ids=lambda pair: pair["id"])
def test_pair_has_its_published_relation_and_example(pair: Pair) -> None:
    """Relation and example are the published ones whatever the verdict, and mirrored the other way round."""
    requested, held = _target(pair["requested"]), _target(pair["held"])

    assert target_relation(requested, held).value == pair["relation"]
    assert target_relation(held, requested) is mirrored(target_relation(requested, held))
    assert overlap(requested.pattern, held.pattern) == pair["example"]


@mark.parametrize("pair", PAIRS, ids=lambda pair: pair["id"])
def test_pair_turned_round_has_the_same_verdict(pair: Pair) -> None:
    """Who came first changes neither verdict nor kind."""
    findings, turned = _pair(pair, is_turned=False), _pair(pair, is_turned=True)

    assert [(one.verdict, one.kind, one.confidence) for one in findings] == [
        (one.verdict, one.kind, one.confidence) for one in turned
    ]


@mark.parametrize("is_turned", [False, True])
@mark.parametrize("pair", OPERATION_PAIRS, ids=lambda pair: pair["id"])
def test_operations_have_their_published_risk(pair: OperationPair, is_turned: bool) -> None:
    """Two declared operations get the published kind, confidence and risk, from either side."""
    a = _claim(pair["a"], "anna", standing=Standing.DECLARED)
    b = _claim(pair["b"], "ben", standing=Standing.DECLARED)

    findings = decide(b, a) if is_turned else decide(a, b)

    if pair["risk"] == "none":
        assert findings == []
    else:
        assert [(one.kind, one.confidence, one.risk) for one in findings] == [
            (FindingKind(pair["kind"] or "none"), pair["confidence"], Risk(pair["risk"]))
        ]
    if pair["relation"] is not None:
        assert target_relation(a.targets[0].target, b.targets[0].target).value == pair["relation"]


@mark.parametrize("pair", OPERATION_PAIRS, ids=lambda pair: pair["id"])
def test_operations_have_their_published_risk_in_a_forecast(pair: OperationPair) -> None:
    """A step against what another has declared counts as the published risk, and never stops the step."""
    step, intent = (
        _claim(pair["a"], "anna", standing=Standing.HYPOTHETICAL),
        _claim(pair["b"], "ben", standing=Standing.DECLARED),
    )

    answer = forecast([Step("s1", step.holder, step.targets, branch=step.branch)], [intent])

    assert answer.steps[0].would_grant
    assert [risk.value for risk, count in answer.risks.items() if count] == [
        risk for risk in [pair["risk"]] if risk != "none"
    ]


REASONS = {
    "absolute path": "absolute",
    "'..' in path": "'..'",
    "empty symbol": "symbol after '::' is empty",
    "empty path": "path before '::' is empty",
    "empty target": "empty",
    "unterminated [": "class is not closed",
    "NUL in path": "U+0000",
}


@mark.parametrize("row", VECTORS["refused"], ids=lambda row: row["id"])
def test_target_that_is_refused_says_why(row: dict[str, str]) -> None:
    """Each refused target names the published reason and the whole text."""
    with raises(BadPattern) as refused:
        parse_glob(row["target"])

    assert REASONS[row["error"]] in refused.value.reason
    assert refused.value.pattern == row["target"]
