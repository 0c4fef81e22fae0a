"""Agents: who is registered, what an address means, who is live, and who a caller is.

Decided here and nowhere else: an address is an id or a name; names of live agents are unique; an agent is live until it
has been silent for `limits.AGENT_SILENCE_S`; a token binds a caller to its agent. Source: design.md 6, contract.md 8.
"""

import hashlib
import math
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from intermute.core import limits
from intermute.core.contacts import ASYNC_DEFAULT, LIVE_DEFAULT, ContactPolicy
from intermute.core.errors import AgentHeaderMissing, AgentIdentityMismatch, InvalidSessionId
from intermute.core.ids import AgentId, Micros, RandomBits
from intermute.core.names import first_numbered, generated_name


class FocusState(StrEnum):
    """What the agent says its terminal is doing."""

    AT_PROMPT = "at-prompt"
    TOOL_USE = "tool-use"
    THINKING = "thinking"
    UNKNOWN = "unknown"


@dataclass(slots=True)
class Agent:
    """One registered agent. `heard_s` is the monotonic time of its last sign of life; `last_seen_us` displays it."""

    id: AgentId
    session_id: str
    name: str
    token_hash: bytes
    capabilities: tuple[str, ...] | None
    metadata: dict[str, str] | None
    status: str
    created_at_us: Micros
    last_seen_us: Micros
    heard_s: float
    focus_state: FocusState = FocusState.UNKNOWN
    focus_heard_s: float = -math.inf
    """The monotonic time at which it said so; long ago, if it was in another process of ours."""
    contact_policy: ContactPolicy | None = ASYNC_DEFAULT
    """From whom it takes messages; None where what is stored cannot be read."""
    live_contact_policy: ContactPolicy | None = LIVE_DEFAULT

    def is_live(self, mono_s: float) -> bool:
        """Tell whether the agent gave a sign of life within the last 5 minutes; exactly 5 minutes is silent."""
        return mono_s - self.heard_s < limits.AGENT_SILENCE_S


class Caller(msgspec.Struct, frozen=True):
    """What the front knows of who asks. `claims` is X-Agent-ID; only a token proves it."""

    is_local: bool
    claims: str | None = None
    token_hash: bytes | None = None


class Identity(msgspec.Struct, frozen=True):
    """Who asks, as far as known: a canonical address or None, and whether a token proved it."""

    address: AgentId | None
    is_verified: bool


def hash_of_token(token: str) -> bytes:
    """Return what is kept of a token; it has 192 random bits, so a plain digest is enough."""
    return hashlib.sha256(token.encode()).digest()


def session_key(session_id: str) -> str:
    """Return the one spelling of a session id under which it is looked up.

    Raises: InvalidSessionId, where it is no UUID in any of the spellings that the original takes (contract.md 8).
    """
    try:
        return str(uuid.UUID(session_id))
    except ValueError:
        raise InvalidSessionId(session_id) from None


@dataclass(slots=True)
class Directory:
    """The agents of one project, by everything that can name them."""

    _by_id: dict[AgentId, Agent] = field(default_factory=dict)
    _by_name: dict[str, AgentId] = field(default_factory=dict)
    _by_session: dict[str, AgentId] = field(default_factory=dict)
    _by_token: dict[bytes, AgentId] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Agent]:
        return iter(self._by_id.values())

    def put(self, agent: Agent) -> None:
        """Add an agent, or take in what changed about it; the newest bearer of a name is the one it means."""
        known = self._by_id.get(agent.id)
        if known is not None:
            self._forget_keys(known)
        self._by_id[agent.id] = agent
        self._by_name[agent.name] = agent.id
        self._by_session[session_key(agent.session_id)] = agent.id
        self._by_token[agent.token_hash] = agent.id

    def remove(self, agent: Agent) -> None:
        """Forget an agent that left."""
        self._forget_keys(agent)
        del self._by_id[agent.id]

    def _forget_keys(self, agent: Agent) -> None:
        keys: tuple[tuple[dict[str, AgentId], str], ...] = (
            (self._by_name, agent.name),
            (self._by_session, session_key(agent.session_id)),
        )
        for index, key in keys:
            if index.get(key) == agent.id:
                del index[key]
        if self._by_token.get(agent.token_hash) == agent.id:
            del self._by_token[agent.token_hash]

    def find(self, address: str) -> Agent | None:
        """Return the agent of this id or, failing that, of this name."""
        found = self._by_id.get(AgentId(address))
        if found is None and (named := self._by_name.get(address)) is not None:
            found = self._by_id[named]
        return found

    def of_id(self, agent_id: AgentId) -> Agent | None:
        """Return the agent of this id."""
        return self._by_id.get(agent_id)

    def canonical(self, address: str) -> AgentId:
        """Return the id behind an address, or the address itself while nobody has it."""
        found = self.find(address)
        return found.id if found else AgentId(address)

    def addresses_of(self, address: str) -> frozenset[str]:
        """Return every address that means the same agent: its id and its name, or the address itself while nobody has it."""
        found = self.find(address)
        if found is None:
            return frozenset({address})
        return frozenset(each for each in (found.id, found.name) if self.find(each) is found)

    def name_of(self, address: AgentId) -> str:
        """Return the name to show for a canonical address."""
        found = self._by_id.get(address)
        return found.name if found else address

    def of_session(self, key: str) -> Agent | None:
        """Return the agent that registered under this session key."""
        found = self._by_session.get(key)
        return self._by_id[found] if found else None

    def of_token(self, token_hash: bytes) -> Agent | None:
        """Return the agent whose token this is."""
        found = self._by_token.get(token_hash)
        return self._by_id[found] if found else None

    def free_name(self, wished: str, mono_s: float, *, except_for: AgentId | None = None) -> str:
        """Return the wished name, or one of name-2, name-3 … that no other live agent has."""

        def is_free(name: str) -> bool:
            bearer = self.find(name)
            return bearer is None or bearer.id == except_for or (bearer.name == name and not bearer.is_live(mono_s))

        return wished if is_free(wished) else first_numbered(wished, is_free)

    def unborne_name(self, wished: str) -> str:
        """Return one of name-2, name-3 … that no agent has, live or silent."""
        return first_numbered(wished, lambda name: self.find(name) is None)

    def new_name(self, random_bits: RandomBits, mono_s: float) -> str:
        """Return a generated name that no live agent has."""
        return self.free_name(generated_name(random_bits), mono_s)

    def identify(self, caller: Caller) -> Identity:
        """Tell who the caller is.

        Raises: AgentHeaderMissing and AgentIdentityMismatch, where a token is sent and does not prove the claim.
        """
        if caller.token_hash is None:
            return Identity(self.canonical(caller.claims) if caller.claims else None, is_verified=False)
        if not caller.claims:
            raise AgentHeaderMissing
        bearer = self.of_token(caller.token_hash)
        if bearer is None or self.find(caller.claims) is not bearer:
            raise AgentIdentityMismatch
        return Identity(bearer.id, is_verified=True)


def act_as(identity: Identity, given: AgentId | None) -> AgentId | None:
    """Return in whose name a caller acts: as the body says, else as itself.

    Raises: AgentIdentityMismatch, where a proved caller speaks in another's name.
    """
    if given is None:
        return identity.address
    if identity.is_verified and identity.address != given:
        raise AgentIdentityMismatch
    return given


def with_any_capability(agents: Iterable[Agent], wished: frozenset[str]) -> list[Agent]:
    """Return the agents that have at least one of the wished capabilities; no wish means all of them."""
    return [agent for agent in agents if not wished or wished.intersection(agent.capabilities or ())]
