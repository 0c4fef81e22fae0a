"""Agents on the wire: register, list, heartbeat, metadata, presence. Source: contract.md 1.2 and 8."""

from typing import Annotated

from msgspec import Meta

from intermute.core import limits
from intermute.core.api.fields import Address, Input, Limit, Line, Metadata, ProjectText, View

Capabilities = Annotated[
    list[Annotated[str, Meta(max_length=limits.ADDRESS_CHARS_MAX)]], Meta(max_length=limits.CAPABILITIES_MAX)
]


class RegisterAgent(Input, kw_only=True, frozen=True):
    """Say who you are. A known `session_id` under the same name, or the agent's token, renews that agent."""

    project: ProjectText | None = None
    name: Line | None = None
    session_id: Annotated[str, Meta(max_length=limits.ADDRESS_CHARS_MAX)] | None = None
    token: Annotated[str, Meta(max_length=limits.ADDRESS_CHARS_MAX)] | None = None
    capabilities: Capabilities | None = None
    metadata: Metadata | None = None
    status: Line | None = None


class Registered(View, kw_only=True, frozen=True):
    """Who you are from now on. Keep `agent_id`, `session_id` and `token`; the token is shown only here."""

    agent_id: str
    session_id: str
    name: str
    token: str
    cursor: int
    project: str
    renewed: bool = False
    requested_name: str | None = None
    message: str | None = None


class ListAgents(Input, kw_only=True, frozen=True):
    """List the agents of a project, the most recently seen first."""

    project: ProjectText | None = None
    capability: Annotated[str, Meta(description="Comma-separated; an agent with any of them is listed.")] | None = None
    active: bool | None = None
    limit: Limit | None = None
    cursor: Annotated[int, Meta(ge=0, description="`next_cursor` of the page before.")] | None = None


class AgentView(View, kw_only=True, frozen=True):
    """One agent. `active` is false once it has been silent for 5 minutes."""

    agent_id: str
    session_id: str
    name: str
    project: str
    capabilities: list[str] | None
    metadata: dict[str, str] | None
    status: str
    last_seen: str
    created_at: str
    active: bool
    stale: bool
    focus_state: str


class AgentList(View, kw_only=True, frozen=True):
    """A page of agents."""

    agents: list[AgentView]
    next_cursor: int | None = None


class GetAgent(Input, kw_only=True, frozen=True):
    """Read one agent by id or name."""

    agent: Address
    project: ProjectText | None = None


class Presence(Input, kw_only=True, frozen=True):
    """Who works on what: a reading of the agents' metadata."""

    project: ProjectText | None = None
    repo: str | None = None
    active_bead_id: str | None = None
    active: bool | None = None
    limit: Limit | None = None
    cursor: Annotated[int, Meta(ge=0, description="`next_cursor` of the page before.")] | None = None


class PresenceView(View, kw_only=True, frozen=True):
    """What one agent says it is doing."""

    agent_id: str
    kind: str
    status: str
    last_seen: str
    repo: str
    files: list[str]
    objective: str
    confidence: str
    active_bead_id: str
    thread_id: str
    name: str
    active: bool


class PresenceList(View, kw_only=True, frozen=True):
    """A page of the agents that matched."""

    agents: list[PresenceView]
    next_cursor: int | None = None


class Heartbeat(Input, kw_only=True, frozen=True):
    """Say that you are alive. Every 60 seconds is plenty; after 5 silent minutes your reservations are given up."""

    agent: Address
    project: ProjectText | None = None
    focus_state: str | None = None


class Beaten(View, kw_only=True, frozen=True):
    """The heartbeat was heard."""

    agent_id: str


class MergeMetadata(Input, kw_only=True, frozen=True):
    """Set some keys of your metadata and keep the others."""

    agent: Address
    metadata: Metadata | None = None
    project: ProjectText | None = None


class DeregisterAgent(Input, kw_only=True, frozen=True):
    """Leave: your reservations are released and your name is free."""

    agent: Address
    project: ProjectText | None = None


class Deregistered(View, kw_only=True, frozen=True):
    """What leaving took with it."""

    agent_id: str
    released: list[str]
