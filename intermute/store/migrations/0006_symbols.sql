-- The uploaded symbols and calls of one commit, file by file.

CREATE TABLE symbol_index (
    id             INTEGER PRIMARY KEY CHECK (id = 1),
    commit_id      TEXT    NOT NULL,
    uploaded_at_us INTEGER NOT NULL,
    uploaded_by    TEXT    NOT NULL,
    changed        INTEGER NOT NULL             -- the cursor of the last upload
) STRICT;

CREATE TABLE symbol_files (
    path         TEXT    PRIMARY KEY,
    sha256       TEXT,
    language     TEXT,
    symbols      TEXT    NOT NULL,              -- JSON list of [name, kind, start, end]
    calls        TEXT    NOT NULL,              -- JSON list of [address of the caller, address of the callee, confidence]
    symbol_count INTEGER NOT NULL,
    call_count   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
