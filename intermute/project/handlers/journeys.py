"""Links: insights to specifications, critical user journeys to features. Source: contract.md 1.9 and 2.2."""

from dataclasses import replace
from typing import Any

import apsw

from intermute.core import limits
from intermute.core.api.entity_actions import (
    CUJLinkList,
    CUJLinks,
    CUJLinkView,
    LinkCUJ,
    LinkInsight,
    UnlinkCUJ,
    Unlinked,
)
from intermute.core.entities.definition import Kind
from intermute.core.entities.kinds import CUJ, INSIGHT
from intermute.core.entities.rules import check_references
from intermute.core.errors import InvalidRequest
from intermute.core.events import EventType
from intermute.core.times import rfc3339
from intermute.project.handlers.entities import existing, hear_caller
from intermute.project.handlers.entity_changes import change
from intermute.project.handlers.entity_facts import fetch
from intermute.project.handlers.entity_views import entity_view
from intermute.project.transaction import Desk, Facts, FromStore, Transaction
from intermute.store import cuj_links


def facts_for_insight_link(connection: apsw.Connection, command: LinkInsight, facts: Facts) -> None:
    """Fetch the insight and the specification."""
    fetch(connection, Kind.INSIGHT, [command.id], facts)
    fetch(connection, Kind.SPEC, [command.spec_id], facts)


def facts_for_journey_link(connection: apsw.Connection, command: LinkCUJ, facts: Facts) -> None:
    """Fetch the journey and what it is linked to."""
    fetch(connection, Kind.CUJ, [command.id], facts)
    if command.id not in facts.cuj_links:
        facts.cuj_links[command.id] = {link.feature_id for link in cuj_links.of_journey(connection, command.id)}


def link_insight(command: LinkInsight, tx: Transaction) -> Any:  # Any: the view is made at run time.
    """Set the specification that an insight is about."""
    before = existing(INSIGHT, command.id, tx)
    given = {"spec_id": command.spec_id}

    def is_there(kind: Kind, each: str) -> bool:
        return tx.facts.entities.get((kind, each)) is not None

    warnings = check_references(INSIGHT, given, is_there, is_strict=tx.state.settings.strict_references)
    hear_caller(tx)
    after = replace(before, version=before.version + 1, values={**before.values, **given})
    change(before, after, tx, EventType.INSIGHT_LINKED, {"data": given})
    return entity_view(after, tx.project, warnings)


def link_cuj(command: LinkCUJ, tx: Transaction) -> CUJLinkView:
    """Link a journey to a feature."""
    journey = existing(CUJ, command.id, tx)
    links = tx.facts.cuj_links[journey.id]
    if command.feature_id not in links and len(links) >= limits.CUJ_LINKS_MAX:
        raise InvalidRequest([("feature_id", f"a journey has at most {limits.CUJ_LINKS_MAX} links; unlink some first")])
    hear_caller(tx)
    links.add(command.feature_id)
    tx.write(cuj_links.put(journey.id, command.feature_id, tx.now.wall_us))
    tx.emit(EventType.CUJ_LINKED, {"entity_id": journey.id, "data": {"feature_id": command.feature_id}})
    return _link_view(journey.id, cuj_links.CujLink(command.feature_id, tx.now.wall_us), tx.project)


def unlink_cuj(command: UnlinkCUJ, tx: Transaction) -> Unlinked:
    """Take a link out, if it is there."""
    journey = existing(CUJ, command.id, tx)
    links = tx.facts.cuj_links[journey.id]
    was_linked = command.feature_id in links
    hear_caller(tx)
    if was_linked:
        links.discard(command.feature_id)
        tx.write(cuj_links.delete(journey.id, command.feature_id))
        tx.emit(EventType.CUJ_UNLINKED, {"entity_id": journey.id, "data": {"feature_id": command.feature_id}})
    return Unlinked(cuj_id=journey.id, feature_id=command.feature_id, project=tx.project, unlinked=was_linked)


def list_links(query: CUJLinks, desk: Desk) -> FromStore[CUJLinkList]:
    """Return the links of a journey; of one that is not there, none, as the original does."""

    def work(connection: apsw.Connection) -> CUJLinkList:
        links = cuj_links.of_journey(connection, query.id)
        return CUJLinkList(links=[_link_view(query.id, link, desk.project) for link in links])

    return FromStore(work)


def _link_view(cuj_id: str, link: cuj_links.CujLink, project: str) -> CUJLinkView:
    linked_at = rfc3339(link.linked_at_us)
    return CUJLinkView(cuj_id=cuj_id, feature_id=link.feature_id, project=project, linked_at=linked_at)
