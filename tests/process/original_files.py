"""Files of the original service, made from the columns that contract.md 5.2 lists, in the three ages of 5.3.

`Age.NOW` has every column; `BEFORE_TOPICS` (early 2026) has neither topics nor what came after them; `BEFORE_PROJECTS` has
messages and inboxes without a project, no marks of recipients, no versions and no journeys; its log names the projects.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from pathlib import Path
from typing import Any, Final

import apsw

Row = Mapping[str, Any]  # Any: whatever SQLite can hold.

_NOW: Final = """
CREATE TABLE events (cursor INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, type TEXT NOT NULL, agent TEXT,
    project TEXT NOT NULL DEFAULT '', message_id TEXT, thread_id TEXT, from_agent TEXT, to_json TEXT,
    body TEXT, created_at TEXT NOT NULL);
CREATE TABLE messages (project TEXT NOT NULL DEFAULT '', message_id TEXT NOT NULL, thread_id TEXT,
    from_agent TEXT, to_json TEXT,
    cc_json TEXT, bcc_json TEXT, subject TEXT, body TEXT, importance TEXT, ack_required INTEGER NOT NULL DEFAULT 0,
    topic TEXT NOT NULL DEFAULT '', transport TEXT NOT NULL DEFAULT 'async', created_at TEXT NOT NULL,
    PRIMARY KEY (project, message_id));
CREATE INDEX idx_messages_topic ON messages (project, topic);
CREATE TABLE inbox_index (project TEXT NOT NULL DEFAULT '', agent TEXT NOT NULL, cursor INTEGER NOT NULL,
    message_id TEXT NOT NULL);
CREATE TABLE message_recipients (project TEXT NOT NULL DEFAULT '', message_id TEXT NOT NULL, agent_id TEXT NOT NULL,
    kind TEXT NOT NULL DEFAULT 'to', read_at TEXT, ack_at TEXT, injected_at TEXT, PRIMARY KEY (project,
    message_id, agent_id));
CREATE TABLE thread_index (project TEXT NOT NULL DEFAULT '', thread_id TEXT NOT NULL, agent TEXT NOT NULL,
    last_cursor INTEGER NOT NULL, message_count INTEGER NOT NULL DEFAULT 1,
    last_message_from TEXT NOT NULL DEFAULT '',
    last_message_body TEXT NOT NULL DEFAULT '', last_message_at TEXT NOT NULL DEFAULT '', PRIMARY KEY (project,
    thread_id, agent));
CREATE TABLE pending_pokes (project TEXT, recipient TEXT, message_id TEXT, sender TEXT, body TEXT, created_at TEXT,
    surfaced_at TEXT, PRIMARY KEY (project, recipient, message_id));
CREATE TABLE config (id INTEGER PRIMARY KEY CHECK (id = 1), live_transport_enabled INTEGER NOT NULL DEFAULT 1);
INSERT INTO config (id) VALUES (1);
CREATE TABLE file_reservations (id TEXT PRIMARY KEY, agent_id TEXT NOT NULL, project TEXT NOT NULL,
    path_pattern TEXT NOT NULL,
    exclusive INTEGER NOT NULL DEFAULT 1, reason TEXT, created_at TEXT NOT NULL, expires_at TEXT NOT NULL,
    released_at TEXT);
CREATE TABLE agents (id TEXT PRIMARY KEY, session_id TEXT, name TEXT NOT NULL, project TEXT, token TEXT,
    capabilities_json TEXT,
    metadata_json TEXT, status TEXT, contact_policy TEXT NOT NULL DEFAULT 'open',
    focus_state TEXT NOT NULL DEFAULT 'unknown',
    focus_state_updated TEXT NOT NULL DEFAULT '', live_contact_policy TEXT NOT NULL DEFAULT 'contacts_only',
    created_at TEXT NOT NULL, last_seen TEXT NOT NULL);
CREATE TABLE agent_contacts (agent_id TEXT, contact_agent_id TEXT, created_at TEXT, PRIMARY KEY (agent_id,
    contact_agent_id));
CREATE TABLE specs (id TEXT, project TEXT, title TEXT NOT NULL, vision TEXT, users TEXT, problem TEXT,
    status TEXT NOT NULL DEFAULT 'draft', version INTEGER NOT NULL DEFAULT 1, created_at TEXT, updated_at TEXT,
    PRIMARY KEY (project, id));
CREATE TABLE epics (id TEXT, project TEXT, spec_id TEXT, title TEXT NOT NULL, description TEXT,
    status TEXT NOT NULL DEFAULT 'open', version INTEGER NOT NULL DEFAULT 1, created_at TEXT, updated_at TEXT,
    PRIMARY KEY (project, id));
CREATE TABLE stories (id TEXT, project TEXT, epic_id TEXT NOT NULL, title TEXT NOT NULL,
    acceptance_criteria_json TEXT,
    status TEXT NOT NULL DEFAULT 'todo', version INTEGER NOT NULL DEFAULT 1, created_at TEXT, updated_at TEXT,
    PRIMARY KEY (project, id));
CREATE TABLE tasks (id TEXT, project TEXT, story_id TEXT, title TEXT NOT NULL, agent TEXT, session_id TEXT,
    status TEXT NOT NULL DEFAULT 'pending', version INTEGER NOT NULL DEFAULT 1, created_at TEXT,
    updated_at TEXT, PRIMARY KEY (project, id));
CREATE TABLE insights (id TEXT, project TEXT, spec_id TEXT, source TEXT, category TEXT, title TEXT, body TEXT,
    url TEXT,
    score REAL NOT NULL DEFAULT 0, created_at TEXT, PRIMARY KEY (project, id));
CREATE TABLE sessions (id TEXT, project TEXT, name TEXT, agent TEXT, task_id TEXT,
    status TEXT NOT NULL DEFAULT 'running',
    started_at TEXT, updated_at TEXT, PRIMARY KEY (project, id));
CREATE TABLE cujs (id TEXT, project TEXT, spec_id TEXT, title TEXT, persona TEXT,
    priority TEXT NOT NULL DEFAULT 'medium',
    entry_point TEXT, exit_point TEXT, steps_json TEXT, success_criteria_json TEXT, error_recovery_json TEXT,
    status TEXT NOT NULL DEFAULT 'draft', version INTEGER NOT NULL DEFAULT 1, created_at TEXT, updated_at TEXT,
    PRIMARY KEY (project, id));
CREATE TABLE cuj_feature_links (project TEXT, cuj_id TEXT, feature_id TEXT, linked_at TEXT,
    PRIMARY KEY (project, cuj_id, feature_id));
CREATE TABLE window_identities (id TEXT PRIMARY KEY, project TEXT, window_uuid TEXT, agent_id TEXT, display_name TEXT,
    tmux_target TEXT NOT NULL DEFAULT '', created_at TEXT, last_active_at TEXT, expires_at TEXT,
    UNIQUE (project, window_uuid));
"""

_BEFORE_TOPICS: Final = (
    "DROP INDEX idx_messages_topic",
    "ALTER TABLE messages DROP COLUMN topic",
    "ALTER TABLE messages DROP COLUMN transport",
    "ALTER TABLE message_recipients DROP COLUMN injected_at",
    "ALTER TABLE agents DROP COLUMN token",
    "ALTER TABLE agents DROP COLUMN contact_policy",
    "ALTER TABLE agents DROP COLUMN live_contact_policy",
    "ALTER TABLE agents DROP COLUMN focus_state",
    "ALTER TABLE agents DROP COLUMN focus_state_updated",
    "DROP TABLE agent_contacts",
    "DROP TABLE window_identities",
    "DROP TABLE pending_pokes",
    "DROP TABLE config",
)
_BEFORE_PROJECTS: Final = (
    *_BEFORE_TOPICS,
    "DROP TABLE messages",
    "CREATE TABLE messages (message_id TEXT PRIMARY KEY, thread_id TEXT, from_agent TEXT, to_json TEXT, body TEXT, created_at)",
    "DROP TABLE inbox_index",
    "CREATE TABLE inbox_index (agent TEXT NOT NULL, cursor INTEGER NOT NULL, message_id TEXT NOT NULL)",
    "DROP TABLE message_recipients",
    "DROP TABLE thread_index",
    "DROP TABLE cuj_feature_links",
    "DROP TABLE cujs",
    "ALTER TABLE specs DROP COLUMN version",
    "ALTER TABLE epics DROP COLUMN version",
    "ALTER TABLE stories DROP COLUMN version",
    "ALTER TABLE tasks DROP COLUMN version",
)


class Age(Enum):
    """The three known ages of the schema."""

    NOW = auto()
    BEFORE_TOPICS = auto()
    BEFORE_PROJECTS = auto()


_CHANGES: Final = {Age.NOW: (), Age.BEFORE_TOPICS: _BEFORE_TOPICS, Age.BEFORE_PROJECTS: _BEFORE_PROJECTS}


def go_time(at: datetime) -> str:
    """Return a time as Go prints it with RFC3339Nano: nine digits of fraction, trailing zeros trimmed."""
    fraction = f".{at.microsecond * 1000 + 7:09d}".rstrip("0") if at.microsecond else ""
    return f"{at.strftime('%Y-%m-%dT%H:%M:%S')}{fraction}Z"


@dataclass
class OriginalFile:
    """A file in the making. Resources: closed by `close`; what an older schema does not have is left out of the rows."""

    path: Path
    age: Age = Age.NOW
    connection: apsw.Connection = field(init=False)

    def __post_init__(self) -> None:
        self.connection = apsw.Connection(str(self.path))
        self.connection.execute("PRAGMA synchronous = OFF")
        self.connection.execute(_NOW)
        for change in _CHANGES[self.age]:
            self.connection.execute(change)

    @staticmethod
    def opened(path: Path) -> apsw.Connection:
        """Open a file to change it; the caller closes it."""
        return apsw.Connection(str(path))

    def insert(self, table: str, **values: object) -> None:
        """Insert a row into a table, if this age has it; columns that it does not have are left out."""
        columns = {row[1] for row in self.connection.execute(f"PRAGMA table_info({table})")}
        kept = {name: value for name, value in values.items() if name in columns}
        if kept:
            names = ", ".join(kept)
            marks = ", ".join(f":{name}" for name in kept)
            self.connection.execute(f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})", kept)

    def send(self, project: str, sender: str, to: list[str], body: str, **more: Any) -> str:
        """Store a message as the original does: row, event, an inbox entry for each in `to`, recipients; return its id."""
        message_id = more.pop("message_id", str(uuid.uuid4()))
        at = more.pop("created_at", go_time(datetime.now(UTC)))
        lists = {f"{name}_json": json.dumps(more.pop(name)) for name in ("cc", "bcc") if name in more}
        row = {
            "project": project, "message_id": message_id, "from_agent": sender, "to_json": json.dumps(to), "body": body,
            "created_at": at, **lists, **more,
        }  # fmt: skip
        self.insert("messages", **row)
        self.insert("events", id=str(uuid.uuid4()), type="message.created", **row)
        cursor = self.connection.last_insert_rowid()
        for agent in to:
            self.insert("inbox_index", project=project, agent=agent, cursor=cursor, message_id=message_id)
        for kind in ("to", "cc", "bcc"):
            for agent in json.loads(row.get(f"{kind}_json", "[]")):
                self.insert("message_recipients", project=project, message_id=message_id, agent_id=agent, kind=kind)
        return str(message_id)

    def mark(self, project: str, message_id: str, agent: str, **marks: str) -> None:
        """Note that a recipient has read or acknowledged (`read_at`, `ack_at`), where this age does."""
        if self.age is not Age.BEFORE_PROJECTS:
            chosen = ", ".join(f"{name} = :{name}" for name in marks)
            self.connection.execute(
                f"UPDATE message_recipients SET {chosen} WHERE project = :p AND message_id = :m AND agent_id = :a",
                {**marks, "p": project, "m": message_id, "a": agent},
            )

    def close(self) -> Path:
        """Close the file and return its path."""
        self.connection.close(force=True)
        return self.path


@dataclass(frozen=True)
class World:
    """A small original with two projects, one of which has everything."""

    path: Path
    anna: str
    ben: str
    first: str
    second: str
    lock: str
    made_at: datetime


def small_world(path: Path, age: Age = Age.NOW) -> World:
    """Make a file of this age with agents, messages, marks, reservations and one entity of each kind."""
    made = OriginalFile(path, age)
    now = datetime.now(UTC)
    made_at = now - timedelta(days=3)
    then, later, soon = go_time(made_at), go_time(made_at + timedelta(hours=1)), go_time(now + timedelta(hours=2))
    anna, ben = str(uuid.uuid4()), str(uuid.uuid4())
    for agent_id, name, seen in ((anna, "anna", later), (ben, "ben", then)):
        made.insert(
            "agents", id=agent_id, session_id=str(uuid.uuid4()), name=name, project="acme", token=f"token-of-{name}",
            capabilities_json='["python"]', metadata_json="null", status="active", created_at=then, last_seen=seen,
        )  # fmt: skip
    first = made.send(
        "acme", anna, [ben, "carl"], "please review", thread_id="t-7", subject="hi", cc=["dora"], bcc=["eve"],
        ack_required=1, importance="high", topic="deploy", created_at=then,
    )  # fmt: skip
    second = made.send("acme", ben, [anna], "done", thread_id="t-7", created_at=later)
    made.mark("acme", first, ben, read_at=later, ack_at=later)
    made.send("umbra", "x", ["y"], "elsewhere", created_at=then)
    made.insert("agent_contacts", agent_id=anna, contact_agent_id=ben, created_at=later)
    lock = str(uuid.uuid4())
    made.insert("file_reservations", id=lock, agent_id=anna, project="acme", path_pattern="src/*.go", exclusive=1,
                reason="refactor", created_at=go_time(now - timedelta(minutes=5)), expires_at=soon)  # fmt: skip
    made.insert("file_reservations", id="over", agent_id=ben, project="acme", path_pattern="docs/x", exclusive=1,
                created_at=then, expires_at=later)  # fmt: skip
    made.insert("file_reservations", id="back", agent_id=ben, project="acme", path_pattern="docs/y", exclusive=0,
                created_at=then, expires_at=soon, released_at=later)  # fmt: skip
    times = {"project": "acme", "created_at": then, "updated_at": later}
    made.insert("specs", id="s1", title="V2", vision="fast", status="research", version=3, **times)
    made.insert("epics", id="e1", spec_id="s1", title="Core", version=1, **times)
    made.insert("stories", id="st1", epic_id="e1", title="Login", acceptance_criteria_json='["a","b"]', **times)
    made.insert("tasks", id="t1", story_id="st1", title="Do it", agent=ben, status="running", version=2, **times)
    made.insert("insights", id="i1", spec_id="s1", source="scout", category="tech", title="X", score=0.85, **times)
    made.insert("sessions", id="x1", name="main", agent=ben, task_id="t1", started_at=then, **times)
    steps = '[{"order":1,"action":"open","expected":"form","alternatives":null}]'
    made.insert("cujs", id="c1", spec_id="s1", title="Onboard", priority="high", steps_json=steps,
                success_criteria_json="null", version=4, **times)  # fmt: skip
    made.insert("cuj_feature_links", project="acme", cuj_id="c1", feature_id="f1", linked_at=later)
    made.close()
    return World(path, anna, ben, first, second, lock, made_at)
