"""Pokes: messages for a terminal, from the decision where they go to the note what became of them.

A poke is stored with its message, before anything is put into a terminal, and goes when it has been shown: so a crash
between the two shows a message twice rather than never. Source: contract.md 1.3 and 1.10, issue 6 point 3.
"""

from collections.abc import Mapping
from typing import NamedTuple

import apsw

from intermute.core import limits
from intermute.core.agents import FocusState, act_as
from intermute.core.api.fields import Input
from intermute.core.api.live import AckPoke, ListPokes, PokeAcked, PokeList, PokeView
from intermute.core.api.messages import SendMessage
from intermute.core.envelope import enveloped
from intermute.core.errors import (
    InvalidRequest,
    InvalidTransport,
    LiveDeliveryFailed,
    LiveRateLimit,
    RecipientBusy,
)
from intermute.core.events import EventType
from intermute.core.ids import AgentId, MessageId
from intermute.core.live import PokeResult, Transport, is_at_prompt
from intermute.core.messages import Kind, Message
from intermute.core.times import SECOND_US, http_date
from intermute.project.handlers.reaching import Sorting
from intermute.project.transaction import Desk, FromStore, Transaction
from intermute.store import live as rows


class Route(NamedTuple):
    """Where a message goes live: into this terminal, or for this reason into none."""

    target: str | None
    reason: str = ""


Routes = Mapping[AgentId, Route]


class PlannedPokes(Input, kw_only=True, frozen=True):
    """Ask what is to be put into which terminal for a message; only the courier does."""

    message_id: str


class Planned(NamedTuple):
    """One text for one terminal."""

    agent: AgentId
    addresses: tuple[str, ...]
    """What the sender called the agent."""
    target: str
    text: str


class NotePokes(Input, kw_only=True, frozen=True):
    """Note what became of a message in each terminal, and why; only the courier does."""

    message_id: str
    transport: Transport
    results: tuple[tuple[AgentId, PokeResult, str], ...]


def transport_of(command: SendMessage) -> Transport:
    """Return how a message is to travel. Raises: InvalidTransport."""
    try:
        return Transport(command.transport or Transport.ASYNC)
    except ValueError:
        raise InvalidTransport from None


def routes_of(command: SendMessage, sorting: Sorting, sender: AgentId, tx: Transaction) -> Routes:
    """Decide where a live message goes; changes nothing.

    Raises: LiveDeliveryFailed, LiveRateLimit, InvalidRequest, and RecipientBusy where it is to go live or not at all.
    """
    transport = transport_of(command)
    if transport is Transport.ASYNC:
        return {}
    addressed = [each for each in sorting.delivered if each.kind is Kind.TO]
    if transport is Transport.LIVE and not addressed and not sorting.held:
        raise LiveDeliveryFailed
    if len(addressed) > limits.LIVE_RECIPIENTS_MAX:
        raise InvalidRequest(
            [("to", f"at most {limits.LIVE_RECIPIENTS_MAX} terminals take one message: send it async")]
        )
    for each in addressed:
        if (wait_s := tx.state.live_rates.wait_s(sender, each.agent, tx.now.mono_s)) is not None:
            raise LiveRateLimit(each.address, wait_s)
    routes = {each.agent: _route(command, each.agent, tx) for each in addressed}
    if transport is Transport.LIVE:
        for each in addressed:
            if routes[each.agent].target is None:
                agent = tx.state.agents.of_id(each.agent)
                raise RecipientBusy(each.address, agent.focus_state if agent else FocusState.UNKNOWN)
    return routes


def _route(command: SendMessage, recipient: AgentId, tx: Transaction) -> Route:
    agent = tx.state.agents.of_id(recipient)
    if agent is None:
        return Route(None, "not_registered")
    if not tx.state.pokes.has_room(recipient):
        return Route(None, "too_many_pokes")
    if len(command.body or "") > limits.LIVE_BODY_CHARS_MAX:
        return Route(None, "too_long")
    if not is_at_prompt(agent, tx.now.mono_s):
        return Route(None, "not_at_prompt")
    window = tx.state.windows.terminal_of(recipient, command.target_window_uuid or "")
    return Route(window.tmux_target) if window else Route(None, "no_window")


def poke_all(message: Message, routes: Routes, sender: AgentId, tx: Transaction) -> dict[AgentId, str]:
    """Store what is to be shown in terminals, and return how each recipient is reached."""
    how: dict[AgentId, str] = {}
    for agent, route in routes.items():
        tx.state.live_rates.note(sender, agent, tx.now.mono_s)
        if route.target is not None:
            how[agent] = "injecting"
        elif route.reason in ("not_registered", "too_many_pokes"):
            how[agent] = "async"
            continue
        else:
            how[agent] = PokeResult.DEFERRED
            _tell(message, agent, PokeResult.DEFERRED, route.reason, tx)
        tx.state.pokes.add(agent, message.id)
        tx.write(rows.save_poke(agent, message.id, route.target, tx.now.wall_us))
    return how


def known_routes(command: SendMessage, sorting: Sorting, message_id: str, tx: Transaction) -> dict[AgentId, str]:
    """Return how a message that was sent live before has reached its recipients. Raises: LiveDeliveryFailed, as it was then."""
    results = tx.facts.poke_results.get(message_id, {})
    if transport_of(command) is not Transport.LIVE or not results:
        return {}
    names = {each.agent: each.address for each in sorting.delivered}
    how = {agent: str(results.get(agent) or "injecting") for agent in names if agent in results}
    if PokeResult.FAILED in how.values():
        told = {names[agent]: word for agent, word in how.items()}
        raise LiveDeliveryFailed(next(iter(told.values())) if len(told) == 1 else told)
    return how


def planned_pokes(query: PlannedPokes, desk: Desk) -> FromStore[list[Planned]]:
    """Return what is to be put into which terminal, as it is stored."""

    canonical = desk.state.agents.canonical

    def work(connection: apsw.Connection) -> list[Planned]:
        return [
            Planned(
                each.agent,
                tuple(address for address in each.to if canonical(address) == each.agent),
                each.target,
                enveloped(each.sender, each.thread_id, each.body),
            )
            for each in rows.pokes_of_message(connection, query.message_id)
            if each.target is not None
        ]

    return FromStore(work)


def note_pokes(command: NotePokes, tx: Transaction) -> None:
    """Note what became of a message in each terminal. What was to go nowhere else and failed is not shown later."""
    message = tx.facts.messages.get(command.message_id)
    if message is None:
        return
    for agent, result, reason in command.results:
        if tx.state.pokes.has(agent, message.id):
            if command.transport is Transport.LIVE:
                tx.state.pokes.remove(agent, message.id)
                tx.write(rows.end_poke(agent, message.id, result))
            elif result is PokeResult.INJECTED:
                tx.state.pokes.remove(agent, message.id)
                tx.write(rows.remove_poke(agent, message.id))
            else:
                tx.write(rows.defer_poke(agent, message.id))
            tx.facts.poke_results.get(message.id, {})[agent] = result
        _tell(message, agent, result, reason, tx)


def _tell(message: Message, agent: AgentId, result: PokeResult, reason: str, tx: Transaction) -> None:
    fields = {
        "message_id": message.id,
        "agent_id": agent,
        "from": message.sender,
        "from_id": message.sender_id,
        "result": result,
        "reason": reason,
    }
    tx.emit(EventType.WINDOW_POKE, fields, frozenset({agent, message.sender_id}))


def list_pokes(query: ListPokes, desk: Desk) -> FromStore[PokeList]:
    """Return what waits to be shown to an agent, the oldest first; not what is being put into its terminal just now."""
    agent = desk.state.agents.canonical(query.agent)
    act_as(desk.identity(), agent)
    stale_us = desk.now.wall_us - limits.POKE_STALE_S * SECOND_US

    def work(connection: apsw.Connection) -> PokeList:
        return PokeList(
            pokes=[
                PokeView(
                    message_id=each.message_id,
                    sender=each.sender,
                    body=enveloped(each.sender, "", each.body),
                    created_at=http_date(each.created_at_us),
                )
                for each in rows.pokes_of(connection, agent)
                if each.target is None or each.created_at_us < stale_us
            ]
        )

    return FromStore(work)


def ack_poke(command: AckPoke, tx: Transaction) -> PokeAcked:
    """Note that a poke has been shown; one that does not wait is fine."""
    agent = act_as(tx.identity(), tx.state.agents.canonical(command.agent) if command.agent else None)
    if agent is None:
        raise InvalidRequest([("agent", "say whose poke it is, here or in X-Agent-ID")])
    tx.heard(tx.state.agents.find(agent))
    if tx.state.pokes.has(agent, command.message_id):
        message_id = MessageId(command.message_id)
        tx.state.pokes.remove(agent, message_id)
        tx.write(rows.remove_poke(agent, message_id))
        tx.emit(EventType.POKE_ACK, {"message_id": message_id, "agent_id": agent}, frozenset({agent}))
    return PokeAcked(status="ok")
