-- From whom agents take messages; see core/contacts.py. A text that is none of its policies denies everybody.

ALTER TABLE agents ADD COLUMN contact_policy      TEXT NOT NULL DEFAULT 'open';
ALTER TABLE agents ADD COLUMN live_contact_policy TEXT NOT NULL DEFAULT 'contacts_only';

CREATE TABLE contacts (
    agent    TEXT    NOT NULL,                  -- whose list it is
    other    TEXT    NOT NULL,                  -- canonical: an id, or a name that nobody has registered
    state    TEXT    NOT NULL,                  -- requested, accepted, declined
    reason   TEXT    NOT NULL,
    since_us INTEGER NOT NULL,
    PRIMARY KEY (agent, other)
) STRICT, WITHOUT ROWID;

CREATE TABLE held_messages (
    agent      TEXT    NOT NULL,                -- whose approval it waits for
    message_id TEXT    NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    address    TEXT    NOT NULL,                -- as it was written
    kind       TEXT    NOT NULL,
    sender     TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    held_at_us INTEGER NOT NULL,
    PRIMARY KEY (agent, message_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX held_messages_by_message ON held_messages (message_id);
