-- The hash chain over the event log (guarantees.md G18, docs/decisions/0013-event-chain.md): store/chain.py says how a row is hashed.

ALTER TABLE events ADD COLUMN hash BLOB;                            -- of this row and all before it; NULL before the chain begins

ALTER TABLE project ADD COLUMN chain_from INTEGER NOT NULL DEFAULT 0;  -- events after this cursor are chained
ALTER TABLE project ADD COLUMN chain_seed BLOB    NOT NULL             -- what the first of them follows
    DEFAULT x'0000000000000000000000000000000000000000000000000000000000000000';
ALTER TABLE project ADD COLUMN chain_head BLOB    NOT NULL             -- the hash of the last event
    DEFAULT x'0000000000000000000000000000000000000000000000000000000000000000';

UPDATE project SET chain_from = head;
