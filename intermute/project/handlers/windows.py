"""Windows: registered by their own agent, listed, closed. Source: contract.md 1.8."""

import uuid
from dataclasses import replace

import apsw

from intermute.core import limits
from intermute.core.agents import hash_of_token
from intermute.core.api.live import Expired, ExpireWindow, ListWindows, RegisterWindow, WindowList, WindowView
from intermute.core.errors import (
    AgentIdentityMismatch,
    AgentTokenMismatch,
    InvalidTmuxTarget,
    TooManyWindows,
    WindowFieldsRequired,
)
from intermute.core.events import EventType
from intermute.core.ids import AgentId, ProjectName
from intermute.core.live import Window, is_target
from intermute.core.times import rfc3339
from intermute.project.transaction import Desk, FromStore, Transaction
from intermute.store import live as rows


def register_window(command: RegisterWindow, tx: Transaction) -> WindowView:
    """Take in a window, or what has changed about it; whoever proves to be in it now has it."""
    if not (command.window_uuid or "").strip() or not (command.agent_id or "").strip():
        raise WindowFieldsRequired
    assert command.window_uuid is not None
    assert command.agent_id is not None
    target = command.tmux_target or ""
    if target and not is_target(target):
        raise InvalidTmuxTarget
    agent = tx.state.agents.find(command.agent_id)
    token = command.registration_token
    if agent is None or not token or hash_of_token(token) != agent.token_hash:
        raise AgentTokenMismatch
    book = tx.state.windows
    known = book.get(command.window_uuid)
    oldest = None
    if known is None and len(book) >= limits.WINDOWS_PER_PROJECT_MAX:
        oldest = book.oldest_expired()
        if oldest is None:
            raise TooManyWindows
    tx.heard(agent)
    if oldest is not None:
        book.remove(oldest)
        tx.write(rows.remove_window(oldest))
    window = Window(
        id=known.id if known else str(uuid.UUID(int=tx.random_bits(128), version=4)),
        window_uuid=command.window_uuid,
        agent=agent.id,
        display_name=command.display_name or agent.id,
        tmux_target=target,
        is_local=tx.caller.is_local,
        created_at_us=known.created_at_us if known else tx.now.wall_us,
        last_active_at_us=tx.now.wall_us,
        expired_at_us=None,
    )
    book.put(window)
    tx.write(rows.save_window(window))
    tx.emit(
        EventType.WINDOW_REGISTERED,
        {"window_uuid": window.window_uuid, "agent_id": agent.id, "display_name": window.display_name},
    )
    return _view(window, tx.project)


def list_windows(_query: ListWindows, desk: Desk) -> FromStore[WindowList]:
    """Return the windows that are open, the most recently active first."""

    def work(connection: apsw.Connection) -> WindowList:
        found = [each for each in rows.windows(connection) if each.expired_at_us is None]
        return WindowList(windows=[_view(each, desk.project) for each in reversed(found)])

    return FromStore(work)


def expire_window(command: ExpireWindow, tx: Transaction) -> Expired:
    """Close a window; one that is closed, or was never there, is fine. Another agent's is its own to close."""
    window = tx.state.windows.get(command.window_uuid)
    identity = tx.identity()
    if window is not None and identity.is_verified and identity.address != window.agent:
        raise AgentIdentityMismatch
    if window is not None and window.expired_at_us is None:
        expired = replace(window, expired_at_us=tx.now.wall_us)
        tx.state.windows.put(expired)
        tx.write(rows.save_window(expired))
        tx.emit(EventType.WINDOW_EXPIRED, {"window_uuid": window.window_uuid, "agent_id": window.agent})
    return Expired(status="expired")


def forget_terminals(agent: AgentId, tx: Transaction) -> None:
    """Let go of an agent's windows, and of what waits to be shown in them."""
    for window in tx.state.windows.of(agent):
        tx.state.windows.remove(window)
        tx.write(rows.remove_window(window))
    for message_id in tx.state.pokes.of(agent):
        tx.state.pokes.remove(agent, message_id)
        tx.write(rows.remove_poke(agent, message_id))


def _view(window: Window, project: ProjectName) -> WindowView:
    return WindowView(
        id=window.id,
        project=project,
        window_uuid=window.window_uuid,
        agent_id=window.agent,
        display_name=window.display_name,
        tmux_target=window.tmux_target or None,
        created_at=rfc3339(window.created_at_us),
        last_active_at=rfc3339(window.last_active_at_us),
        expires_at=None if window.expired_at_us is None else rfc3339(window.expired_at_us),
    )
