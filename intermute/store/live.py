"""Windows and pokes in SQLite."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import apsw
import msgspec

from intermute.core.ids import AgentId, MessageId, Micros
from intermute.core.live import PokeResult, Window
from intermute.store.statements import Statement

_SAVE_WINDOW: Final = """
INSERT INTO windows (id, window_uuid, agent, display_name, tmux_target, is_local, created_at_us, last_active_at_us, expired_at_us)
VALUES (:id, :window_uuid, :agent, :display_name, :tmux_target, :is_local, :created_at_us, :last_active_at_us, :expired_at_us)
ON CONFLICT (window_uuid) DO UPDATE SET
    agent = excluded.agent, display_name = excluded.display_name, tmux_target = excluded.tmux_target,
    is_local = excluded.is_local, last_active_at_us = excluded.last_active_at_us, expired_at_us = excluded.expired_at_us
"""
_REMOVE_WINDOW: Final = "DELETE FROM windows WHERE window_uuid = :window_uuid"
_WINDOWS: Final = """
SELECT id, window_uuid, agent, display_name, tmux_target, is_local, created_at_us, last_active_at_us, expired_at_us FROM windows
"""
_SAVE_POKE: Final = """
INSERT INTO pokes (agent, message_id, target, created_at_us) VALUES (:agent, :message_id, :target, :created_at_us)
ON CONFLICT (agent, message_id) DO UPDATE SET target = excluded.target, created_at_us = excluded.created_at_us
"""
_DEFER_POKE: Final = "UPDATE pokes SET target = NULL WHERE agent = :agent AND message_id = :message_id"
_REMOVE_POKE: Final = "DELETE FROM pokes WHERE agent = :agent AND message_id = :message_id"
_END_POKE: Final = "UPDATE pokes SET result = :result WHERE agent = :agent AND message_id = :message_id"
_POKES: Final = "SELECT agent, message_id FROM pokes WHERE result IS NULL"
_POKES_OF: Final = """
SELECT p.agent, p.target, p.created_at_us, m.id, m.sender, m.thread_id, m.body, m.to_json
FROM pokes p JOIN messages m ON m.id = p.message_id WHERE p.agent = :agent AND p.result IS NULL
"""
_POKES_OF_MESSAGE: Final = """
SELECT p.agent, p.target, p.created_at_us, m.id, m.sender, m.thread_id, m.body, m.to_json
FROM pokes p JOIN messages m ON m.id = p.message_id WHERE p.message_id = :message_id AND p.result IS NULL
"""
_RESULTS: Final = "SELECT agent, result FROM pokes WHERE message_id = :message_id"


class PokeRow(NamedTuple):
    """One message that waits for one agent, and what is written in it."""

    agent: AgentId
    target: str | None
    created_at_us: Micros
    message_id: MessageId
    sender: str
    thread_id: str
    body: str
    to: tuple[str, ...]


def save_window(window: Window) -> Statement:
    """Write a window, new or changed."""
    return Statement(
        _SAVE_WINDOW,
        {
            "id": window.id,
            "window_uuid": window.window_uuid,
            "agent": window.agent,
            "display_name": window.display_name,
            "tmux_target": window.tmux_target,
            "is_local": int(window.is_local),
            "created_at_us": window.created_at_us,
            "last_active_at_us": window.last_active_at_us,
            "expired_at_us": window.expired_at_us,
        },
    )


def remove_window(window: Window) -> Statement:
    """Delete a window."""
    return Statement(_REMOVE_WINDOW, {"window_uuid": window.window_uuid})


def windows(connection: apsw.Connection) -> list[Window]:
    """Return all windows, the most recently active last."""
    found = [
        Window(
            id=row[0],
            window_uuid=row[1],
            agent=AgentId(row[2]),
            display_name=row[3],
            tmux_target=row[4],
            is_local=bool(row[5]),
            created_at_us=Micros(row[6]),
            last_active_at_us=Micros(row[7]),
            expired_at_us=None if row[8] is None else Micros(row[8]),
        )
        for row in connection.execute(_WINDOWS)
    ]
    return sorted(found, key=lambda each: (each.last_active_at_us, each.window_uuid))


def save_poke(agent: AgentId, message_id: MessageId, target: str | None, now_us: Micros) -> Statement:
    """Write that a message waits for an agent, or is being put into this terminal."""
    return Statement(_SAVE_POKE, {"agent": agent, "message_id": message_id, "target": target, "created_at_us": now_us})


def defer_poke(agent: AgentId, message_id: MessageId) -> Statement:
    """Write that a message is to be asked for, since no terminal took it."""
    return Statement(_DEFER_POKE, {"agent": agent, "message_id": message_id})


def remove_poke(agent: AgentId, message_id: MessageId) -> Statement:
    """Write that a message has been shown."""
    return Statement(_REMOVE_POKE, {"agent": agent, "message_id": message_id})


def end_poke(agent: AgentId, message_id: MessageId, result: PokeResult) -> Statement:
    """Write what became of a message that went into a terminal alone, for whoever sends it again."""
    return Statement(_END_POKE, {"agent": agent, "message_id": message_id, "result": result})


def results(connection: apsw.Connection, message_id: str) -> dict[AgentId, PokeResult | None]:
    """Return what became of a message in each terminal; None where nobody knows yet."""
    found = connection.execute(_RESULTS, {"message_id": message_id})
    return {AgentId(agent): None if result is None else PokeResult(result) for agent, result in found}


def pokes(connection: apsw.Connection) -> Iterator[tuple[AgentId, MessageId]]:
    """Yield what waits, by agent and message."""
    return ((AgentId(agent), MessageId(message_id)) for agent, message_id in connection.execute(_POKES))


def pokes_of(connection: apsw.Connection, agent: AgentId) -> list[PokeRow]:
    """Return what waits for an agent, the oldest first."""
    found = [_poke(row) for row in connection.execute(_POKES_OF, {"agent": agent})]
    return sorted(found, key=lambda each: (each.created_at_us, each.message_id))


def pokes_of_message(connection: apsw.Connection, message_id: str) -> list[PokeRow]:
    """Return for whom a message waits."""
    return [_poke(row) for row in connection.execute(_POKES_OF_MESSAGE, {"message_id": message_id})]


def _poke(row: tuple[str, str | None, int, str, str, str, str, str]) -> PokeRow:
    agent, target, created_at_us, message_id, sender, thread_id, body, to_json = row
    to = tuple(msgspec.json.decode(to_json, type=list[str]))
    return PokeRow(AgentId(agent), target, Micros(created_at_us), MessageId(message_id), sender, thread_id, body, to)
