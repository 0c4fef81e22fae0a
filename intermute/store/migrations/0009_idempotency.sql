-- What was answered to requests with an Idempotency-Key, for a day. `place` is a digest of the caller and its key, `content`
-- one of what was asked; `reply` is sealed with the key, which is not here, and NULL where it was too long to keep.

CREATE TABLE kept_replies (
    number  INTEGER PRIMARY KEY,
    place   BLOB    NOT NULL UNIQUE,
    content BLOB    NOT NULL,
    at_us   INTEGER NOT NULL,
    reply   BLOB
) STRICT;
