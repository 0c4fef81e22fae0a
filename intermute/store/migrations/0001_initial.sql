-- One project's facts. Times are whole microseconds since 1970 UTC; JSON is text; ids are text.

CREATE TABLE project (
    id            INTEGER PRIMARY KEY CHECK (id = 1),
    name          TEXT    NOT NULL,
    epoch         INTEGER NOT NULL,            -- grows when a backup is restored, so that no fence number repeats
    head          INTEGER NOT NULL,            -- the last cursor ever given out; events may be trimmed, cursors never repeat
    batch         INTEGER NOT NULL,            -- the last committed batch: tells after a fault whether it is there
    wall_us       INTEGER NOT NULL,            -- the last wall time given out; stored time never runs backwards
    created_at_us INTEGER NOT NULL
) STRICT;

CREATE TABLE events (
    cursor        INTEGER PRIMARY KEY,
    type          TEXT    NOT NULL,
    created_at_us INTEGER NOT NULL,
    audience      TEXT,                        -- JSON list of canonical addresses; NULL is everyone
    data          TEXT    NOT NULL
) STRICT;

CREATE TABLE agents (
    id                 TEXT    PRIMARY KEY,
    session_id         TEXT    NOT NULL,
    name               TEXT    NOT NULL,
    token_hash         BLOB    NOT NULL,
    capabilities       TEXT,
    metadata           TEXT,
    status             TEXT    NOT NULL,
    focus_state        TEXT    NOT NULL,
    created_at_us      INTEGER NOT NULL,
    last_seen_us       INTEGER NOT NULL,
    deregistered_at_us INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE messages (
    id              TEXT    PRIMARY KEY,
    thread_id       TEXT    NOT NULL,
    sender          TEXT    NOT NULL,
    sender_id       TEXT    NOT NULL,
    sender_verified INTEGER NOT NULL,
    to_json         TEXT    NOT NULL,
    cc_json         TEXT    NOT NULL,
    bcc_json        TEXT    NOT NULL,
    subject         TEXT    NOT NULL,
    topic           TEXT    NOT NULL,
    body            TEXT    NOT NULL,
    importance      TEXT    NOT NULL,
    ack_required    INTEGER NOT NULL,
    metadata        TEXT    NOT NULL,
    attachments     TEXT    NOT NULL,
    content_hash    BLOB    NOT NULL,
    created_at_us   INTEGER NOT NULL,
    updated_at_us   INTEGER,
    cursor          INTEGER NOT NULL,
    first_cursor    INTEGER NOT NULL
) STRICT;
CREATE INDEX messages_by_thread ON messages (thread_id, cursor) WHERE thread_id <> '';
CREATE INDEX messages_by_topic  ON messages (topic, cursor) WHERE topic <> '';

CREATE TABLE recipients (
    message_id   TEXT    NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    agent        TEXT    NOT NULL,              -- canonical: an id, or a name that nobody has registered
    address      TEXT    NOT NULL,              -- as it was written
    kind         TEXT    NOT NULL,
    cursor       INTEGER NOT NULL,
    ack_required INTEGER NOT NULL,
    read_at_us   INTEGER,
    ack_at_us    INTEGER,
    PRIMARY KEY (message_id, agent)
) STRICT, WITHOUT ROWID;
CREATE INDEX recipients_by_agent ON recipients (agent, cursor);
CREATE INDEX recipients_unread   ON recipients (agent, cursor) WHERE read_at_us IS NULL;
CREATE INDEX recipients_unacked  ON recipients (agent, cursor) WHERE ack_required = 1 AND ack_at_us IS NULL;

CREATE TABLE threads (
    thread_id     TEXT    NOT NULL,
    agent         TEXT    NOT NULL,
    last_cursor   INTEGER NOT NULL,
    message_count INTEGER NOT NULL,
    last_from     TEXT    NOT NULL,
    last_body     TEXT    NOT NULL,
    last_at_us    INTEGER NOT NULL,
    PRIMARY KEY (thread_id, agent)
) STRICT, WITHOUT ROWID;
CREATE INDEX threads_by_agent ON threads (agent, last_cursor);

CREATE TABLE reservations (
    id            TEXT    PRIMARY KEY,
    fence         INTEGER NOT NULL UNIQUE,      -- the cursor of the event that granted it
    holder        TEXT    NOT NULL,
    patterns      TEXT    NOT NULL,             -- JSON list of {text, literal}
    mode          TEXT    NOT NULL,
    reason        TEXT    NOT NULL,
    created_at_us INTEGER NOT NULL,
    expires_at_us INTEGER NOT NULL,
    ended_at_us   INTEGER,
    ended         TEXT                          -- released, expired, owner_stale, deregistered
) STRICT;
CREATE INDEX reservations_active    ON reservations (fence) WHERE ended_at_us IS NULL;
CREATE INDEX reservations_by_holder ON reservations (holder, fence);
