"""The operation table: every operation of the interface, one row each.

From it come the routes, the strict decoding, the error statuses and the OpenAPI document; later the tools, the command
line and the clients. A route decides nothing, and a handler knows nothing of HTTP. Source: design.md 4.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

import msgspec

from intermute.core import limits
from intermute.core.api import (
    agents,
    audit,
    broadcasts,
    check_text,
    checks,
    contacts,
    entities,
    entity_actions,
    forecasts,
    handing_over,
    intents,
    live,
    messages,
    reservations,
    retention,
    search,
    settings,
    symbols,
    system,
)
from intermute.core.entities.definition import Kind
from intermute.core.errors import (
    ActiveSessionConflict,
    AgentTokenMismatch,
    BadPattern,
    BroadcastLimit,
    ClaimLimit,
    ContactDeclined,
    ContactLimit,
    CursorExpired,
    Deadlock,
    DependencyCycle,
    DomainError,
    DuplicateId,
    ForceReleaseRefused,
    IdempotencyKeyReused,
    IntentLimit,
    IntentOver,
    InvalidFocusState,
    InvalidLivePolicy,
    InvalidPolicy,
    InvalidSessionId,
    InvalidTmuxTarget,
    InvalidTransport,
    LiveDeliveryFailed,
    LiveRateLimit,
    MessageIdTaken,
    MetadataRequired,
    NoClaimableTask,
    NotARecipient,
    NotHeld,
    NotYours,
    PatternTooBroad,
    PolicyDenied,
    PolicyRequired,
    ProjectRequired,
    RecipientBusy,
    ReservationConflict,
    ReservationEnded,
    ReservationLimit,
    SettingsInUse,
    StaleForecast,
    StaleVersion,
    StatusRefused,
    StillReferenced,
    SymbolIndexFull,
    TaskNotClaimable,
    TaskTaken,
    TooManyAgents,
    TooManySubscribers,
    TooManyWaiters,
    TooManyWindows,
    TooMuchInTheWay,
    TransferConflict,
    UnknownAgent,
    UnknownContact,
    UnknownEntity,
    UnknownIntent,
    UnknownMessage,
    UnknownReference,
    UnknownReservation,
    UnknownTicket,
    WindowFieldsRequired,
)


class ProjectRule(StrEnum):
    """How an operation finds its project (contract.md 0.7, design.md 6 and 9)."""

    NAMED = "named"
    """A caller with a key must name its project in the body; the original's clients rely on the refusal."""
    KEY = "key"
    """The key's project; another one is refused. A local caller may name one, else it is found by id, else `default`."""
    NONE = "none"
    """The operation is about the whole service."""


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation.

    `{field}` in `path` is one segment, `{field:path}` the rest of the path. Other fields come from the query for GET and
    DELETE and from the body otherwise. `routed_by` is the field whose id tells the project. `gathers` is the list in the
    answer that a local caller without a project gets over all projects, unless an id tells the project, and by which field
    it is sorted, the newest first.
    """

    method: str
    path: str
    input: type
    output: type | None
    status: int = 200
    others: tuple[tuple[type, int], ...] = ()
    """Further answers, each with its status."""
    sdk_status: int | None = None
    """The status where the body has an empty `id`, by which the original's SDK is known; it takes no other."""
    project: ProjectRule = ProjectRule.KEY
    routed_by: str | None = None
    gathers: tuple[str, str] | None = None
    gather_order: tuple[tuple[str, bool], ...] = ()
    """Where the gathered list has another order: its fields, each with whether it runs downwards."""
    bare: str | None = None
    """The list in the answer that is the whole body; the cursor of the next page is in the header X-Next-Cursor."""
    errors: tuple[type[DomainError], ...] = ()
    is_idempotent: bool = True
    may_lack_body: bool = False
    needs_auth: bool = True
    values_max: int = limits.BODY_VALUES_MAX
    """How many values a body may have."""
    text: Callable[[Any, Any], str] | None = None  # Any: the operation's input and output.
    """Where the answer has a second form, as plain text for a caller whose Accept prefers it: the text of an answer."""

    @property
    def name(self) -> str:
        """The operation's name: its command or query."""
        return self.input.__name__

    @property
    def takes_body(self) -> bool:
        """Tell whether fields come from a body."""
        return self.method in {"POST", "PUT", "PATCH"}

    @property
    def has_project_in_path(self) -> bool:
        """Tell whether the path names the project, so that there is no other one to fall back to."""
        return "{project" in self.path


def _row(method: str, path: str, takes: type, gives: type | None, **options: Any) -> Operation:  # Any: as Operation.
    return Operation(method=method, path=path, input=takes, output=gives, **options)


def _entity_rows(types: entities.EntityTypes) -> tuple[Operation, ...]:
    """Return the operations that every kind of entity has."""
    entity = types.entity
    every, one = f"/api/{entity.plural}", f"/api/{entity.plural}/{{id:path}}"
    refused = (StatusRefused, UnknownReference, *((DependencyCycle,) if entity.kind is Kind.TASK else ()))
    changed = (UnknownEntity, StaleVersion, *refused)
    order = tuple((each.field, each.is_descending) for each in entity.order)
    return (
        _row("POST", every, types.create, types.view, status=201, is_idempotent=False, errors=(DuplicateId, *refused)),
        _row("GET", every, types.listing, types.page, gathers=("entities", ""), gather_order=order, bare="entities"),
        _row("GET", one, types.get, types.view, routed_by="id", errors=(UnknownEntity,)),
        _row("PUT", one, types.replace, types.view, routed_by="id", errors=changed),
        _row("PATCH", one, types.change, types.view, routed_by="id", is_idempotent=False, errors=changed),
        _row("DELETE", one, types.delete, entities.NoContent, status=204, others=((entities.Deleted, 200),),
             routed_by="id", errors=(StillReferenced,)),
    )  # fmt: skip


OPERATIONS: Final[tuple[Operation, ...]] = (
    # Agents
    _row("POST", "/api/agents", agents.RegisterAgent, agents.Registered, project=ProjectRule.NAMED, is_idempotent=False,
         errors=(ProjectRequired, InvalidSessionId, ActiveSessionConflict, TooManyAgents)),
    _row("GET", "/api/agents", agents.ListAgents, agents.AgentList, gathers=("agents", "last_seen")),
    _row("GET", "/api/agents/presence", agents.Presence, agents.PresenceList, gathers=("agents", "last_seen")),
    _row("GET", "/api/agents/{agent}", agents.GetAgent, agents.AgentView, routed_by="agent", errors=(UnknownAgent,)),
    _row("DELETE", "/api/agents/{agent}", agents.DeregisterAgent, agents.Deregistered, routed_by="agent",
         errors=(UnknownAgent,)),
    _row("POST", "/api/agents/{agent}/heartbeat", agents.Heartbeat, agents.Beaten, routed_by="agent", may_lack_body=True,
         errors=(InvalidFocusState, UnknownAgent)),
    _row("PATCH", "/api/agents/{agent}/metadata", agents.MergeMetadata, agents.AgentView, routed_by="agent",
         errors=(MetadataRequired, UnknownAgent)),
    # Contacts
    _row("GET", "/api/agents/{agent}/policy", contacts.GetPolicy, contacts.PolicyView, routed_by="agent"),
    _row("POST", "/api/agents/{agent}/policy", contacts.SetPolicy, contacts.PolicyView, routed_by="agent",
         errors=(UnknownAgent, PolicyRequired, InvalidPolicy, InvalidLivePolicy)),
    _row("PUT", "/api/agents/{agent}/policy", contacts.PutPolicy, contacts.PolicyView, routed_by="agent",
         errors=(UnknownAgent, PolicyRequired, InvalidPolicy, InvalidLivePolicy)),
    _row("GET", "/api/agents/{agent}/contacts", contacts.ListContacts, contacts.ContactList, routed_by="agent",
         errors=(UnknownAgent,)),
    _row("GET", "/api/agents/{agent}/contacts/{other}", contacts.GetContact, contacts.ContactView, routed_by="agent",
         errors=(UnknownAgent, UnknownContact)),
    _row("PUT", "/api/agents/{agent}/contacts/{other}", contacts.PutContact, contacts.ContactView, routed_by="agent",
         may_lack_body=True, errors=(UnknownAgent, ContactLimit)),
    _row("DELETE", "/api/agents/{agent}/contacts/{other}", contacts.RemoveContact, contacts.ContactRemoved,
         routed_by="agent", errors=(UnknownAgent, UnknownContact)),
    _row("POST", "/api/agents/{agent}/contacts/{other}/request", contacts.RequestContact, contacts.ContactView,
         routed_by="agent", may_lack_body=True, errors=(UnknownAgent, PolicyDenied, ContactDeclined, ContactLimit)),
    _row("POST", "/api/agents/{agent}/contacts/{other}/approve", contacts.ApproveContact, contacts.ContactView,
         routed_by="agent", may_lack_body=True, errors=(UnknownAgent, UnknownContact, ContactLimit)),
    _row("POST", "/api/agents/{agent}/contacts/{other}/decline", contacts.DeclineContact, contacts.ContactView,
         routed_by="agent", may_lack_body=True, errors=(UnknownAgent, UnknownContact, ContactLimit)),
    # Messages
    _row("POST", "/api/messages", messages.SendMessage, messages.Sent, project=ProjectRule.NAMED, is_idempotent=False,
         errors=(ProjectRequired, InvalidTransport, LiveDeliveryFailed, LiveRateLimit, RecipientBusy,
                 MessageIdTaken, PolicyDenied)),
    _row("POST", "/api/broadcast", broadcasts.Broadcast, broadcasts.Broadcasted, project=ProjectRule.NAMED,
         is_idempotent=False, errors=(ProjectRequired, MessageIdTaken, BroadcastLimit, PolicyDenied)),
    _row("GET", "/api/topics/{project}/{topic:path}", broadcasts.Topic, messages.MessagePage),
    _row("GET", "/api/messages/search", search.SearchMessages, search.SearchPage),
    _row("GET", "/api/messages/{message_id}", messages.GetMessage, messages.MessageView, routed_by="message_id",
         errors=(UnknownMessage,)),
    _row("GET", "/api/messages/{message_id}/recipients", messages.MessageRecipients, messages.RecipientList,
         routed_by="message_id", errors=(UnknownMessage,)),
    _row("POST", "/api/messages/{message_id}/ack", messages.AckMessage, messages.Marked, routed_by="message_id",
         may_lack_body=True, errors=(UnknownMessage, NotARecipient)),
    _row("POST", "/api/messages/{message_id}/read", messages.ReadMessage, messages.Marked, routed_by="message_id",
         may_lack_body=True, errors=(UnknownMessage, NotARecipient)),
    _row("POST", "/api/messages/{message_id}/approve", contacts.ApproveMessage, contacts.Approved,
         routed_by="message_id", may_lack_body=True, errors=(NotHeld,)),
    _row("POST", "/api/messages/{message_id}/decline", contacts.DeclineMessage, contacts.Declined,
         routed_by="message_id", may_lack_body=True, errors=(NotHeld,)),
    _row("GET", "/api/inbox/pokes", live.ListPokes, live.PokeList, routed_by="agent"),
    _row("POST", "/api/inbox/pokes/{message_id}/ack", live.AckPoke, live.PokeAcked, routed_by="message_id",
         may_lack_body=True),
    _row("GET", "/api/inbox/{agent:path}/held", contacts.ListHeld, contacts.HeldList, routed_by="agent"),
    _row("GET", "/api/inbox/{agent:path}/counts", messages.InboxCounts, messages.Counts, routed_by="agent"),
    _row("GET", "/api/inbox/{agent:path}/stale-acks", messages.StaleAcks, messages.StaleAckPage, routed_by="agent"),
    _row("GET", "/api/inbox/{agent:path}", messages.Inbox, messages.MessagePage, routed_by="agent",
         errors=(TooManySubscribers,)),
    _row("GET", "/api/threads", messages.Threads, messages.ThreadList, routed_by="agent"),
    _row("GET", "/api/threads/{thread_id:path}", messages.Thread, messages.ThreadPage),
    # Windows
    _row("POST", "/api/windows", live.RegisterWindow, live.WindowView, routed_by="agent_id",
         errors=(WindowFieldsRequired, InvalidTmuxTarget, AgentTokenMismatch, TooManyWindows)),
    _row("GET", "/api/windows", live.ListWindows, live.WindowList),
    _row("DELETE", "/api/windows/{window_uuid}", live.ExpireWindow, live.Expired),
    # Reservations
    _row("POST", "/api/reservations", reservations.Reserve, reservations.ReservationView, status=201, sdk_status=200,
         others=((reservations.RepeatedReservation, 200), (reservations.Waiting, 202)), is_idempotent=False,
         errors=(BadPattern, PatternTooBroad, ReservationConflict, ReservationLimit, NotYours, UnknownTicket,
                 ReservationEnded, StaleForecast, IdempotencyKeyReused, Deadlock, TooMuchInTheWay, TooManyWaiters)),
    _row("GET", "/api/reservations/waiting", reservations.ListWaiting, reservations.WaitingList,
         errors=(PatternTooBroad,)),
    _row("GET", "/api/reservations", reservations.ListReservations, reservations.ReservationList, routed_by="agent",
         gathers=("reservations", "created_at")),
    _row("DELETE", "/api/reservations", reservations.ReleaseAll, reservations.Released,
         routed_by="agent_id"),
    _row("GET", "/api/reservations/check", checks.CheckReservations, checks.Checked,
         errors=(BadPattern, PatternTooBroad), text=check_text.checked_text),
    _row("POST", "/api/reservations/check", checks.CheckTargets, checks.Checked,
         errors=(BadPattern, PatternTooBroad), text=check_text.checked_text),
    _row("POST", "/api/reservations/validate", checks.ValidateReservation, checks.Validated, routed_by="reservation_id"),
    _row("GET", "/api/reservations/{reservation_id}", reservations.GetReservation, reservations.ReservationView,
         others=((reservations.Waiting, 202),), routed_by="reservation_id",
         errors=(PatternTooBroad, UnknownReservation)),
    _row("PATCH", "/api/reservations/{reservation_id}", reservations.RenewReservation, reservations.ReservationView,
         routed_by="reservation_id", may_lack_body=True,
         errors=(PatternTooBroad, ReservationConflict, UnknownReservation, NotYours, ReservationEnded)),
    _row("DELETE", "/api/reservations/{reservation_id}", reservations.ReleaseReservation, reservations.Released,
         routed_by="reservation_id", errors=(UnknownReservation, NotYours, ReservationEnded)),
    _row("POST", "/api/reservations/{reservation_id}/transfer", handing_over.TransferReservation,
         reservations.ReservationView, routed_by="reservation_id", is_idempotent=False,
         errors=(PatternTooBroad, UnknownReservation, NotYours, ReservationEnded, UnknownAgent, TransferConflict,
                 ReservationLimit)),
    _row("POST", "/api/reservations/{reservation_id}/request", handing_over.RequestRelease, handing_over.Requested,
         routed_by="reservation_id", is_idempotent=False, may_lack_body=True,
         errors=(UnknownReservation, ReservationEnded)),
    _row("POST", "/api/reservations/{reservation_id}/force-release", handing_over.ForceRelease,
         handing_over.ForceReleased, routed_by="reservation_id", is_idempotent=False,
         errors=(UnknownReservation, ReservationEnded, ForceReleaseRefused)),
    # Intents
    _row("POST", "/api/intents", intents.DeclareIntent, intents.IntentView, status=201, is_idempotent=False,
         errors=(BadPattern, PatternTooBroad, IntentLimit, UnknownReservation, NotYours, ReservationEnded,
                 ReservationConflict, ReservationLimit)),
    _row("GET", "/api/intents", intents.ListIntents, intents.IntentList, routed_by="agent"),
    _row("GET", "/api/intents/{intent_id}", intents.GetIntent, intents.IntentView, routed_by="intent_id",
         errors=(UnknownIntent,)),
    _row("PATCH", "/api/intents/{intent_id}", intents.ChangeIntent, intents.IntentView, routed_by="intent_id",
         errors=(UnknownIntent, NotYours, IntentOver)),
    _row("POST", "/api/forecast", forecasts.ForecastPlan, forecasts.Forecasted, errors=(BadPattern, PatternTooBroad)),
    _row("GET", "/api/coordination/reconcile", forecasts.Reconcile, forecasts.Reconciled),
    # What is done with them
    _row("GET", "/api/specs/{id:path}/tree", entity_actions.SpecTree, entity_actions.SpecTreeView, routed_by="id",
         errors=(UnknownEntity,)),
    _row("POST", "/api/tasks/next", entity_actions.NextTask, entity_actions.ClaimedTask, is_idempotent=False,
         errors=(NoClaimableTask, ClaimLimit)),
    _row("POST", "/api/tasks/{id:path}/assign", entity_actions.AssignTask, entities.TYPES[Kind.TASK].view, routed_by="id",
         errors=(UnknownEntity, StaleVersion, StatusRefused)),
    _row("POST", "/api/tasks/{id:path}/claim", entity_actions.ClaimTask, entity_actions.ClaimedTask, routed_by="id",
         errors=(UnknownEntity, TaskTaken, TaskNotClaimable, ClaimLimit, BadPattern, PatternTooBroad,
                 ReservationConflict, ReservationLimit)),
    _row("POST", "/api/tasks/{id:path}/release", entity_actions.ReleaseTask, entity_actions.ReleasedTask, routed_by="id",
         errors=(UnknownEntity, NotYours)),
    _row("POST", "/api/insights/{id:path}/link", entity_actions.LinkInsight, entities.TYPES[Kind.INSIGHT].view,
         routed_by="id", errors=(UnknownEntity, UnknownReference)),
    _row("POST", "/api/cujs/{id:path}/link", entity_actions.LinkCUJ, entity_actions.CUJLinkView, routed_by="id",
         errors=(UnknownEntity,)),
    _row("POST", "/api/cujs/{id:path}/unlink", entity_actions.UnlinkCUJ, entity_actions.Unlinked, routed_by="id",
         errors=(UnknownEntity,)),
    _row("GET", "/api/cujs/{id:path}/links", entity_actions.CUJLinks, entity_actions.CUJLinkList, routed_by="id",
         bare="links"),
    # Specs, epics, stories, tasks, insights, sessions, critical user journeys
    *(row for types in entities.TYPES.values() for row in _entity_rows(types)),
    # The audit
    _row("GET", "/api/audit", audit.ListAudit, audit.AuditPage),
    # The log, the projects, the service
    _row("GET", "/api/events", system.ListEvents, system.EventPage, errors=(TooManySubscribers, CursorExpired)),
    _row("GET", "/api/projects/{project:path}/settings", settings.GetSettings, settings.SettingsView),
    _row("PATCH", "/api/projects/{project:path}/settings", settings.ChangeSettings, settings.SettingsView,
         errors=(SettingsInUse,)),
    _row("POST", "/api/projects/{project:path}/retention", retention.TrimLog, retention.LogTrimmed),
    _row("PUT", "/api/projects/{project:path}/symbols", symbols.UploadSymbols, symbols.SymbolIndexView,
         values_max=limits.BODY_VALUES_OF_SYMBOLS_MAX, errors=(SymbolIndexFull,)),
    _row("GET", "/api/projects/{project:path}/symbols", symbols.GetSymbols, symbols.SymbolIndexView),
    _row("DELETE", "/api/projects/{project:path}/symbols", symbols.DropSymbols, symbols.SymbolIndexView),
    _row("GET", "/api/projects", system.ListProjects, system.ProjectList, project=ProjectRule.NONE),
    _row("GET", "/api/openapi.json", system.OpenApi, None, project=ProjectRule.NONE, needs_auth=False),
    _row("GET", "/api/health", system.Health, system.HealthView, project=ProjectRule.NONE, needs_auth=False),
    _row("GET", "/health", system.Health, system.HealthView, project=ProjectRule.NONE, needs_auth=False),
    _row("GET", "/health/ready", system.Ready, system.HealthView, project=ProjectRule.NONE, needs_auth=False),
)  # fmt: skip

LEGACY_FIELDS: Final = frozenset(
    {
        # agent
        "id", "agent_id", "session_id", "name", "project", "capabilities", "metadata", "status", "last_seen", "created_at",
        # message
        "thread_id", "from", "to", "cc", "bcc", "subject", "body", "importance", "ack_required", "cursor", "agent",
        # reservation
        "path_pattern", "exclusive", "reason", "ttl_minutes", "expires_at", "released_at", "is_active",
        # entities
        "title", "vision", "users", "problem", "version", "updated_at", "spec_id", "description", "epic_id",
        "acceptance_criteria", "story_id", "source", "category", "url", "score", "task_id", "started_at", "persona",
        "priority", "entry_point", "exit_point", "steps", "success_criteria", "error_recovery", "feature_id",
    }
)  # fmt: skip
"""Fields that the original's own client sends, whole objects at a time: accepted everywhere, ignored where they mean nothing."""

LEGACY_QUERY: Final = frozenset({"project", "agent", "agent_id"})
"""Query fields that any operation takes note of, wherever its other fields come from."""
