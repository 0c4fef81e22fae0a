"""Reading agents: lists, one of them, presence, and the heartbeat that changes memory only."""

from itertools import islice

import apsw
import msgspec

from intermute.core import limits
from intermute.core.agents import Agent, FocusState, with_any_capability
from intermute.core.api.agents import (
    AgentList,
    AgentView,
    Beaten,
    GetAgent,
    Heartbeat,
    ListAgents,
    Presence,
    PresenceList,
    PresenceView,
)
from intermute.core.errors import AgentIdentityMismatch, InvalidFocusState, UnknownAgent
from intermute.core.ids import ProjectName
from intermute.core.pages import first_page, page_size
from intermute.core.times import Now, rfc3339_seconds
from intermute.project.transaction import Desk, FromStore, hear


def agent_view(agent: Agent, project: ProjectName, now: Now) -> AgentView:
    """Return the agent as the interface shows it; never its token."""
    is_live = agent.is_live(now.mono_s)
    return AgentView(
        agent_id=agent.id,
        session_id=agent.session_id,
        name=agent.name,
        project=project,
        capabilities=None if agent.capabilities is None else list(agent.capabilities),
        metadata=agent.metadata,
        status=agent.status,
        last_seen=rfc3339_seconds(agent.last_seen_us),
        created_at=rfc3339_seconds(agent.created_at_us),
        active=is_live,
        stale=not is_live,
        focus_state=agent.focus_state,
    )


def list_agents(query: ListAgents, desk: Desk) -> AgentList:
    """Return a page of agents, the most recently seen first."""
    wished = frozenset(part.strip() for part in (query.capability or "").split(",") if part.strip())
    found = with_any_capability(_stored(desk, is_active=query.active), wished)
    start = min(query.cursor or 0, len(found))
    page, has_more = first_page(islice(found, start, None), page_size(query.limit, limits.LIST_DEFAULT), _chars)
    return AgentList(
        agents=[agent_view(agent, desk.project, desk.now) for agent in page],
        next_cursor=start + len(page) if has_more else None,
    )


def get_agent(query: GetAgent, desk: Desk) -> AgentView:
    """Return one agent."""
    agent = desk.state.stored_agent(query.agent)
    if agent is None:
        raise UnknownAgent(query.agent)
    return agent_view(agent, desk.project, desk.now)


def presence(query: Presence, desk: Desk) -> FromStore[PresenceList]:
    """Return a page of what the agents say they work on (contract.md 1.2)."""
    agents = _stored(desk, is_active=query.active)
    start = min(query.cursor or 0, len(agents))

    # It needs no disk, but reading what ten thousand agents say takes seconds, which the loop does not have.
    def work(_connection: apsw.Connection) -> PresenceList:
        found = (agent for agent in agents if _says(agent, "repo", query.repo))
        found = (agent for agent in found if _says(agent, "active_bead_id", query.active_bead_id))
        page, has_more = first_page(islice(found, start, None), page_size(query.limit, limits.LIST_DEFAULT), _chars)
        return PresenceList(
            agents=[_presence_view(agent, desk.now) for agent in page],
            next_cursor=start + len(page) if has_more else None,
        )

    return FromStore(work)


def _says(agent: Agent, key: str, wished: str | None) -> bool:
    return not wished or (agent.metadata or {}).get(key, "").strip() == wished.strip()


def _chars(agent: Agent) -> int:
    metadata = agent.metadata or {}
    return sum(map(len, metadata)) + sum(map(len, metadata.values())) + sum(map(len, agent.capabilities or ()))


def heartbeat(beat: Heartbeat, desk: Desk) -> Beaten:
    """Hear a sign of life. Memory changes at once; the disk is never waited for (design.md 3.5)."""
    focus = _focus_state(beat.focus_state)
    agent = desk.state.agents.find(beat.agent)
    if agent is None:
        raise UnknownAgent(beat.agent)
    identity = desk.identity()
    if identity.is_verified and identity.address != agent.id:
        raise AgentIdentityMismatch
    if focus is not None:
        agent.focus_state, agent.focus_heard_s = focus, desk.now.mono_s
    hear(desk.state, agent, desk.now)
    return Beaten(agent_id=agent.id)


def _focus_state(text: str | None) -> FocusState | None:
    if not text:
        return None
    try:
        return FocusState(text)
    except ValueError:
        raise InvalidFocusState from None


def _stored(desk: Desk, *, is_active: bool | None) -> list[Agent]:
    """Return the agents that are on the disk, the most recently seen first."""
    found = [
        agent
        for agent in desk.state.stored_agents()
        if is_active is None or agent.is_live(desk.now.mono_s) == is_active
    ]
    found.sort(key=lambda agent: (-agent.last_seen_us, agent.id))
    return found


def _presence_view(agent: Agent, now: Now) -> PresenceView:
    said = {key: value.strip() for key, value in (agent.metadata or {}).items()}
    return PresenceView(
        agent_id=agent.id,
        kind=said.get("agent_kind", ""),
        status=said.get("status") or agent.status,
        last_seen=rfc3339_seconds(agent.last_seen_us),
        repo=said.get("repo", ""),
        files=_files(said.get("files_touched", "")),
        objective=said.get("objective", ""),
        confidence=said.get("active_bead_confidence") or "unknown",
        active_bead_id=said.get("active_bead_id", ""),
        thread_id=said.get("thread_id", ""),
        name=agent.name,
        active=agent.is_live(now.mono_s),
    )


def _files(text: str) -> list[str]:
    try:
        listed = msgspec.json.decode(text, type=list[str]) if text else []
    except (msgspec.DecodeError, RecursionError):
        return []
    return [stripped for each in listed if (stripped := each.strip())]
