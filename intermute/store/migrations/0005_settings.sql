-- The project's switches: what was chosen, as JSON; what is not there has its default.

CREATE TABLE settings (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    chosen TEXT    NOT NULL
) STRICT;
