"""Which handler decides which command, answers which query, and what must be fetched before a decision.

A new endpoint is one row of `core/operations.py` and one line here.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import apsw

from intermute.core.api import agents as agent_api
from intermute.core.api import audit as audit_api
from intermute.core.api import broadcasts as broadcast_api
from intermute.core.api import checks as check_api
from intermute.core.api import contacts as contact_api
from intermute.core.api import entities as entity_api
from intermute.core.api import entity_actions as action_api
from intermute.core.api import forecasts as forecast_api
from intermute.core.api import handing_over as handing_api
from intermute.core.api import intents as intent_api
from intermute.core.api import live as live_api
from intermute.core.api import messages as message_api
from intermute.core.api import reservations as reservation_api
from intermute.core.api import search as search_api
from intermute.core.api import settings as settings_api
from intermute.core.api import symbols as symbol_api
from intermute.project.handlers import (
    agent_views,
    agents,
    assigning,
    audit,
    broadcasts,
    checks,
    contacts,
    entities,
    entity_facts,
    entity_views,
    for_approval,
    forced_release,
    forecasts,
    handing_over,
    inbox,
    intent_views,
    intents,
    journeys,
    liveness,
    messages,
    next_tasks,
    pokes,
    reconciling,
    reservation_views,
    reservations,
    reserving,
    searching,
    settings,
    spec_tree,
    symbols,
    trimming,
    turns,
    windows,
)
from intermute.project.transaction import Desk, Facts, Transaction

# Any in these three: a handler takes its own command and returns its own view; the key of the row ties them together.
CommandHandler = Callable[[Any, Transaction], Any]
QueryHandler = Callable[[Any, Desk], Any]
FactFetcher = Callable[[apsw.Connection, Any, Facts], None]

_TYPES: Final = tuple(entity_api.TYPES.values())
_CREATING: Final = frozenset(each.create for each in _TYPES)

COMMANDS: Final[Mapping[type, CommandHandler]] = {
    liveness.Tick: liveness.tick,
    trimming.TrimEvents: trimming.trim_events,
    agent_api.RegisterAgent: agents.register_agent,
    agent_api.MergeMetadata: agents.merge_metadata,
    agent_api.DeregisterAgent: agents.deregister_agent,
    contact_api.SetPolicy: contacts.set_policy,
    contact_api.PutPolicy: contacts.set_policy,
    contact_api.PutContact: contacts.put_contact,
    contact_api.RemoveContact: contacts.remove_contact,
    contact_api.RequestContact: contacts.request_contact,
    contact_api.ApproveContact: contacts.approve_contact,
    contact_api.DeclineContact: contacts.decline_contact,
    contact_api.ApproveMessage: for_approval.approve_message,
    contact_api.DeclineMessage: for_approval.decline_message,
    live_api.RegisterWindow: windows.register_window,
    live_api.ExpireWindow: windows.expire_window,
    live_api.AckPoke: pokes.ack_poke,
    pokes.NotePokes: pokes.note_pokes,
    message_api.SendMessage: messages.send_message,
    broadcast_api.Broadcast: broadcasts.broadcast,
    message_api.AckMessage: messages.ack_message,
    message_api.ReadMessage: messages.read_message,
    reservation_api.Reserve: reserving.reserve,
    reservation_api.RenewReservation: reservations.renew_reservation,
    reservation_api.ReleaseReservation: reservations.release_reservation,
    reservation_api.ReleaseAll: reservations.release_all,
    intent_api.DeclareIntent: intents.declare_intent,
    intent_api.ChangeIntent: intents.change_intent,
    settings_api.ChangeSettings: settings.change_settings,
    symbol_api.UploadSymbols: symbols.upload_symbols,
    symbol_api.DropSymbols: symbols.drop_symbols,
    handing_api.TransferReservation: handing_over.transfer_reservation,
    handing_api.RequestRelease: handing_over.request_release,
    handing_api.ForceRelease: forced_release.force_release,
    action_api.AssignTask: assigning.assign_task,
    action_api.ClaimTask: assigning.claim_task,
    action_api.ReleaseTask: assigning.release_task,
    action_api.NextTask: next_tasks.next_task,
    action_api.LinkInsight: journeys.link_insight,
    action_api.LinkCUJ: journeys.link_cuj,
    action_api.UnlinkCUJ: journeys.unlink_cuj,
    **{each.create: entities.create_entity for each in _TYPES},
    **{each.replace: entities.replace_entity for each in _TYPES},
    **{each.change: entities.change_entity for each in _TYPES},
    **{each.delete: entities.delete_entity for each in _TYPES},
}
"""Commands change the project; the actor decides them one at a time."""

QUERIES: Final[Mapping[type, QueryHandler]] = {
    # A heartbeat changes memory only and must not wait for a flush, so it goes the way of the queries (design.md 3.5).
    agent_api.Heartbeat: agent_views.heartbeat,
    agent_api.ListAgents: agent_views.list_agents,
    agent_api.GetAgent: agent_views.get_agent,
    agent_api.Presence: agent_views.presence,
    contact_api.GetPolicy: contacts.get_policy,
    contact_api.ListContacts: contacts.list_contacts,
    contact_api.GetContact: contacts.get_contact,
    contact_api.ListHeld: for_approval.list_held,
    live_api.ListWindows: windows.list_windows,
    live_api.ListPokes: pokes.list_pokes,
    pokes.PlannedPokes: pokes.planned_pokes,
    message_api.Inbox: inbox.inbox,
    message_api.InboxCounts: inbox.inbox_counts,
    message_api.StaleAcks: inbox.stale_acks,
    message_api.Threads: inbox.threads,
    message_api.Thread: inbox.thread,
    message_api.GetMessage: inbox.get_message,
    broadcast_api.Topic: searching.topic,
    search_api.SearchMessages: searching.search_messages,
    message_api.MessageRecipients: inbox.message_recipients,
    check_api.CheckReservations: checks.check_reservations,
    check_api.CheckTargets: checks.check_targets,
    check_api.ValidateReservation: checks.validate_reservation,
    forecast_api.ForecastPlan: forecasts.forecast_plan,
    forecast_api.Reconcile: reconciling.reconcile_branches,
    reservation_api.ListReservations: reservation_views.list_reservations,
    reservation_api.GetReservation: turns.get_reservation,
    reservation_api.ListWaiting: turns.list_waiting,
    intent_api.ListIntents: intent_views.list_intents,
    intent_api.GetIntent: intent_views.get_intent,
    settings_api.GetSettings: settings.get_settings,
    symbol_api.GetSymbols: symbols.get_symbols,
    audit_api.ListAudit: audit.list_audit,
    action_api.CUJLinks: journeys.list_links,
    action_api.SpecTree: spec_tree.spec_tree,
    **{each.listing: entity_views.list_entities for each in _TYPES},
    **{each.get: entity_views.get_entity for each in _TYPES},
}
"""Queries read; they never queue behind commands."""

LONG_READS: Final[frozenset[type]] = frozenset(
    {forecast_api.ForecastPlan, forecast_api.Reconcile, search_api.SearchMessages}
)
"""Queries that may keep the reader's thread for a good while: a project answers one of them at a time, so that other reads
and the facts of commands come in between."""

LONG_QUERIES: Final[frozenset[type]] = LONG_READS | {
    agent_api.ListAgents,
    check_api.CheckTargets,
    check_api.CheckReservations,
    reservation_api.ListWaiting,
}
"""Queries that may compute for a tenth of a second on the loop: a project answers as many in one round as its quantum allows."""

FACTS: Final[Mapping[type, FactFetcher]] = {
    liveness.Tick: liveness.facts_for_tick,
    reservation_api.Reserve: reserving.facts_for_reserve,
    message_api.SendMessage: messages.facts_for_send,
    broadcast_api.Broadcast: messages.facts_for_send,
    message_api.AckMessage: messages.facts_for_message,
    message_api.ReadMessage: messages.facts_for_message,
    contact_api.ApproveMessage: messages.facts_for_message,
    pokes.NotePokes: messages.facts_for_message,
    reservation_api.RenewReservation: reservations.facts_for_reservation,
    reservation_api.ReleaseReservation: reservations.facts_for_reservation,
    symbol_api.UploadSymbols: symbols.facts_for_upload,
    intent_api.DeclareIntent: intents.facts_for_declaration,
    intent_api.ChangeIntent: intents.facts_for_change,
    handing_api.TransferReservation: reservations.facts_for_reservation,
    handing_api.RequestRelease: handing_over.facts_for_request,
    handing_api.ForceRelease: reservations.facts_for_reservation,
    **{
        command: entity_facts.facts_for_entity
        for each in _TYPES
        for command in (each.create, each.replace, each.change)
    },
    action_api.AssignTask: assigning.facts_for_task,
    action_api.ClaimTask: assigning.facts_for_task,
    action_api.ReleaseTask: assigning.facts_for_task,
    action_api.NextTask: next_tasks.facts_for_next,
    action_api.LinkInsight: journeys.facts_for_insight_link,
    action_api.LinkCUJ: journeys.facts_for_journey_link,
    action_api.UnlinkCUJ: journeys.facts_for_journey_link,
    **{each.delete: entity_facts.facts_for_delete for each in _TYPES},
}
"""Rows that a decision needs and memory does not hold."""


def fact_fetcher(command: Any) -> FactFetcher | None:  # Any: a key of COMMANDS.
    """Return what fetches the rows that this command's decision needs, or None where it needs none."""
    if isinstance(command, reservation_api.Reserve) and not reserving.needs_facts(command):
        return None  # Most reservations: they must not wait for the disk.
    if isinstance(command, liveness.Tick) and not command.forgets_replies:
        return None
    if type(command) in _CREATING and not entity_facts.needs_facts(command):
        return None  # Likewise: a new entity with a new id that refers to nothing.
    return FACTS.get(type(command))
