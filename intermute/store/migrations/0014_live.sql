-- Terminals that agents work in, and messages that wait to be shown in one.

CREATE TABLE windows (
    id                TEXT    NOT NULL,
    window_uuid       TEXT    PRIMARY KEY,
    agent             TEXT    NOT NULL,
    display_name      TEXT    NOT NULL,
    tmux_target       TEXT    NOT NULL,
    is_local          INTEGER NOT NULL,         -- whether a caller on the server's machine named the target
    created_at_us     INTEGER NOT NULL,
    last_active_at_us INTEGER NOT NULL,
    expired_at_us     INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE pokes (
    agent         TEXT    NOT NULL,
    message_id    TEXT    NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    target        TEXT,                         -- where it is being put just now; NULL once it waits to be asked for
    created_at_us INTEGER NOT NULL,
    result        TEXT,                         -- of a message that goes nowhere else, once it is known: it waits no longer
    PRIMARY KEY (agent, message_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX pokes_by_message ON pokes (message_id);
