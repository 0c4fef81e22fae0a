-- What has been trimmed from the log: of each type of event, everything up to a cursor. The project's row keeps the head, so
-- cursors never repeat; a type that is not here is whole. What starts anew where the log does now has its place here.

CREATE TABLE trimmed (
    type   TEXT    PRIMARY KEY,
    cursor INTEGER NOT NULL,                    -- that of the last one which is gone
    events INTEGER NOT NULL                     -- how many are gone
) STRICT, WITHOUT ROWID;
