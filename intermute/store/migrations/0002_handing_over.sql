-- Reservations that change hands: who asked for one, and who took one away.

CREATE TABLE release_requests (
    reservation_id TEXT    NOT NULL,
    asker          TEXT    NOT NULL,            -- canonical: an id, or a name that nobody has registered
    fence          INTEGER NOT NULL,            -- which holding was asked for; a reservation handed over has another fence
    message_id     TEXT    NOT NULL,            -- what the holder was sent
    PRIMARY KEY (reservation_id, asker)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    cursor   INTEGER PRIMARY KEY,               -- that of the event which everyone heard
    at_us    INTEGER NOT NULL,
    actor    TEXT    NOT NULL,                  -- canonical, or operator
    verified INTEGER NOT NULL,                  -- whether a token proved the actor
    action   TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    subject  TEXT    NOT NULL                   -- JSON: what was acted on, as it was before
) STRICT;
