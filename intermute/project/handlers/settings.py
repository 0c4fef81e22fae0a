"""Reading and setting a project's switches. Source: design.md 6."""

import msgspec

from intermute.core.agents import act_as
from intermute.core.api.settings import ChangeSettings, GetSettings, SettingsView
from intermute.core.errors import InvalidRequest, SettingsInUse
from intermute.core.events import EventType
from intermute.core.ids import OPERATOR, ProjectName
from intermute.core.settings import Settings
from intermute.project.handlers.trimming import check_kinds
from intermute.project.handlers.turns import settle_queue
from intermute.project.state import ProjectState
from intermute.project.transaction import Desk, Transaction
from intermute.store import audit
from intermute.store import settings as rows
from intermute.store.audit import AuditRow


def get_settings(_query: GetSettings, desk: Desk) -> SettingsView:
    """Return the switches as they are stored."""
    return _view(desk.state.committed_settings, desk.project)


def change_settings(command: ChangeSettings, tx: Transaction) -> SettingsView:
    """Set some switches; what is so already is no change."""
    state = tx.state
    identity = tx.identity()
    given = command.agent_id or command.agent
    speaker = act_as(identity, state.agents.canonical(given) if given else None)
    if speaker is None and not tx.caller.is_local:
        raise InvalidRequest([("agent_id", "say who sets this: your agent id or name, here or in X-Agent-ID")])
    check_kinds("retention", command.retention or ())
    changes = state.settings.changes(command)
    if "case_folding" in changes and (count := _claims_in(state)):
        raise SettingsInUse(count)
    tx.heard(state.agents.find(speaker) if speaker else None)
    if not changes:
        return _view(state.settings, tx.project)
    old = {name: getattr(state.settings, name) for name in changes}
    state.choose(msgspec.structs.replace(state.settings, **changes))
    actor = speaker or OPERATOR
    tx.write(rows.save(state.settings))
    cursor = tx.emit(
        EventType.PROJECT_SETTINGS,
        {
            "agent_id": actor,
            "held_by": state.agents.name_of(actor),
            "old": old,
            "new": changes,
            "reason": command.reason or "",
        },
    )
    subject = {"old": old, "new": changes}
    tx.write(
        audit.append(
            AuditRow(
                cursor,
                tx.now.wall_us,
                actor,
                identity.is_verified,
                EventType.PROJECT_SETTINGS,
                command.reason or "",
                subject,
            )
        )
    )
    settle_queue(tx)
    return _view(state.settings, tx.project)


def _claims_in(state: ProjectState) -> int:
    """Count what was read under the present rule: two of them that go together may clash under the other."""
    return len(state.leases) + len(state.intents) + len(state.waiting)


def _view(settings: Settings, project: ProjectName) -> SettingsView:
    return SettingsView(project=project, **msgspec.structs.asdict(settings))
