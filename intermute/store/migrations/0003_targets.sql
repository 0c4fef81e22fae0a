-- A reservation's targets each have a mode, and perhaps an operation; and it may say where the work happens.

ALTER TABLE reservations ADD COLUMN targets TEXT NOT NULL DEFAULT '[]';  -- JSON list of {text, kind, mode, n, op?, to?}
UPDATE reservations SET targets = (
    SELECT json_group_array(json_object(
        'text', json_extract(each.value, '$.text'),
        'kind', CASE WHEN json_extract(each.value, '$.literal') THEN 'path' ELSE 'pattern' END,
        'mode', reservations.mode,
        'n', each.key
    ))
    FROM json_each(reservations.patterns) AS each
);
ALTER TABLE reservations DROP COLUMN patterns;
ALTER TABLE reservations DROP COLUMN mode;

ALTER TABLE reservations ADD COLUMN branch TEXT;
ALTER TABLE reservations ADD COLUMN worktree TEXT;
ALTER TABLE reservations ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;  -- cursor at which others last had to take note of it
UPDATE reservations SET changed = fence;

ALTER TABLE reservations ADD COLUMN idempotency_key TEXT;               -- the asker's own; a repeated request finds its row
ALTER TABLE reservations ADD COLUMN asked_by TEXT;                      -- whose key it is: the holder may have changed since
ALTER TABLE reservations ADD COLUMN request_hash BLOB;                  -- what was asked under it
CREATE INDEX reservations_by_asker ON reservations (asked_by) WHERE asked_by IS NOT NULL;
CREATE INDEX reservations_by_key ON reservations (idempotency_key) WHERE idempotency_key IS NOT NULL;
