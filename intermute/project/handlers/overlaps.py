"""Telling both sides when somebody's claim meets what another has declared. Source: claims.md 1."""

from collections.abc import Iterable, Mapping

from intermute.core import limits
from intermute.core.claim_records import Standing
from intermute.core.events import EventType
from intermute.core.findings import Finding
from intermute.core.ids import AgentId
from intermute.project.transaction import Transaction


def tell_overlap(subject: Mapping[str, object], holder: AgentId, findings: Iterable[Finding], tx: Transaction) -> None:
    """Tell the holder of a new claim and those whose claims it meets; `subject` names the new claim."""
    firsts: dict[str, Finding] = {}
    for finding in findings:
        firsts.setdefault(finding.claim.id, finding)
    shown = list(firsts.values())[: limits.WANTED_EVENTS_MAX]
    if not shown:
        return
    name_of = tx.state.agents.name_of
    tx.emit(
        EventType.INTENT_OVERLAP,
        {
            "agent_id": holder,
            "held_by": name_of(holder),
            **subject,
            "findings": [
                {
                    id_field(finding): finding.claim.id,
                    "agent_id": finding.claim.holder,
                    "held_by": name_of(finding.claim.holder),
                    "pattern": finding.held.target.text,
                    "requested": finding.requested.target.text,
                    "kind": finding.kind,
                    "confidence": round(finding.confidence, 3),
                    "example": finding.example,
                }
                for finding in shown
            ],
        },
        audience=frozenset({holder, *(finding.claim.holder for finding in shown)}),
    )


def id_field(finding: Finding) -> str:
    """Return what the id of the other claim is called."""
    return "intent_id" if finding.claim.standing is Standing.DECLARED else "reservation_id"


def declared(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings that are about what others have only declared."""
    return [finding for finding in findings if finding.claim.standing is Standing.DECLARED]
