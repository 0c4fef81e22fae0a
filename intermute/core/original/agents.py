"""Agents of the original: who they were, in our terms.

An agent is taken whenever its id can be: everything else hangs on that. What else is wrong with it is replaced and noted.
"""

from dataclasses import dataclass, field
from typing import Final

import msgspec

from intermute.core.agents import session_key
from intermute.core.api.agents import RegisterAgent
from intermute.core.api.fields import Address
from intermute.core.contacts import ASYNC_DEFAULT, LIVE_DEFAULT, ContactPolicy, read_policy
from intermute.core.errors import InvalidSessionId
from intermute.core.ids import AgentId, Micros, tag_of
from intermute.core.original.rows import LeftOut, Row, Times, as_command, shown

_OPTIONAL: Final = ("name", "capabilities", "metadata", "status")


@dataclass(slots=True)
class OriginalAgent:
    """One agent. A name, a session or a token that is None is made anew."""

    id: AgentId
    asked: RegisterAgent
    """What it says of itself, as a request would say it."""
    session_id: str | None
    token: str | None
    created_at_us: Micros
    last_seen_us: Micros
    policy: ContactPolicy = ASYNC_DEFAULT
    live_policy: ContactPolicy = LIVE_DEFAULT
    notes: list[str] = field(default_factory=list)


def agent_of(row: Row, now_us: Micros) -> OriginalAgent:
    """Return the agent in a row. Raises: LeftOut."""
    agent_id = checked_id(row.text("id"))
    times = Times(now_us)
    created_at_us = times.read(row, "created_at")
    last_seen_us = times.read(row, "last_seen")
    notes = times.notes
    said: dict[str, object] = {}
    for name in _OPTIONAL:
        try:
            value = _value(row, name)
            as_command(RegisterAgent, {name: value})
        except LeftOut as problem:
            notes.append(f"without its {name}: {problem.reason}")
        else:
            said[name] = value
    first_us = created_at_us if created_at_us is not None else last_seen_us
    return OriginalAgent(
        id=agent_id,
        asked=as_command(RegisterAgent, said),
        session_id=_session(row, notes),
        token=_token(row),
        created_at_us=now_us if first_us is None else first_us,
        last_seen_us=last_seen_us if last_seen_us is not None else Micros(first_us or 0),
        policy=_policy(row, "contact_policy", ASYNC_DEFAULT, notes),
        live_policy=_policy(row, "live_contact_policy", LIVE_DEFAULT, notes),
        notes=notes,
    )


def checked_id(text: str) -> AgentId:
    """Return an agent's id. Raises: LeftOut."""
    try:
        agent_id = msgspec.convert(text, Address)
    except msgspec.ValidationError:
        raise LeftOut(f"its id {shown(text)} is no address of this service") from None
    if tag_of(agent_id) is not None:
        raise LeftOut(f"its id {shown(text)} has the form of one that this service has made")
    return AgentId(agent_id)


def _value(row: Row, name: str) -> object:
    match name:
        case "capabilities" | "metadata":
            return row.decoded(f"{name}_json")
        case _:
            return row.text(name)


def _policy(row: Row, name: str, default: ContactPolicy, notes: list[str]) -> ContactPolicy:
    """Return a policy; one that cannot be read lets nobody in, as everywhere."""
    try:
        text = row.text(name).strip()
    except LeftOut:
        text = "\ufffd"
    policy = read_policy(text) if text else default
    if policy is None:
        notes.append(f"with {name} block_all: the old one, {shown(text)}, means nothing here")
    return policy or ContactPolicy.BLOCK_ALL


def _session(row: Row, notes: list[str]) -> str | None:
    try:
        text = row.text("session_id").strip()
        if text:
            session_key(text)
    except (LeftOut, InvalidSessionId):
        notes.append("with a new session_id: the old one is not a UUID")
        return None
    return text or None


def _token(row: Row) -> str | None:
    return None if "token" in row.broken else row.text("token").strip() or None
