-- What agents have said that they are going to do. A row is never deleted.

CREATE TABLE intents (
    id             TEXT    PRIMARY KEY,
    declared       INTEGER NOT NULL UNIQUE,     -- the cursor of its declaration
    holder         TEXT    NOT NULL,
    reservation_id TEXT,
    operation      TEXT    NOT NULL,
    targets        TEXT    NOT NULL,            -- JSON list of {text, kind, mode, n, op?, to?}
    detail         TEXT    NOT NULL,
    branch         TEXT,
    worktree       TEXT,
    state          TEXT    NOT NULL,            -- declared, started, done, abandoned
    changed        INTEGER NOT NULL,            -- the cursor of its last change
    commit_id      TEXT,
    created_at_us  INTEGER NOT NULL,
    expires_at_us  INTEGER NOT NULL,            -- of one that rides on a reservation: as that was when it was declared
    ended_at_us    INTEGER,
    ended          TEXT                         -- by whom or what: agent, expired, owner_stale, deregistered, reservation_…
) STRICT;
CREATE INDEX intents_active         ON intents (declared) WHERE ended_at_us IS NULL;
CREATE INDEX intents_by_holder      ON intents (holder, declared);
CREATE INDEX intents_by_reservation ON intents (reservation_id, declared) WHERE reservation_id IS NOT NULL;
