-- Finding messages by their words; which of them went to everybody; and one index less for each entry of an inbox.

ALTER TABLE messages ADD COLUMN is_broadcast INTEGER NOT NULL DEFAULT 0;

-- A broadcast writes into a page of each index for each of its recipients, so what is read and what is not share one index.
CREATE INDEX recipients_of_agent ON recipients (agent, (read_at_us IS NOT NULL), cursor);
DROP INDEX recipients_by_agent;
DROP INDEX recipients_unread;

-- A message is known to the index by the cursor of its creation, which is never another's and never changes: a rowid that is
-- nobody's column may change whenever the file is rewritten.
CREATE UNIQUE INDEX messages_by_number ON messages (first_cursor);

CREATE VIRTUAL TABLE message_words USING fts5 (
    subject, body, content = 'messages', content_rowid = 'first_cursor', tokenize = 'unicode61 remove_diacritics 2'
);
INSERT INTO message_words (message_words) VALUES ('rebuild');

-- Triggers, so that whatever writes or deletes messages need not know of the index.
CREATE TRIGGER message_words_of_new AFTER INSERT ON messages BEGIN
    INSERT INTO message_words (rowid, subject, body) VALUES (new.first_cursor, new.subject, new.body);
END;
CREATE TRIGGER message_words_of_changed AFTER UPDATE OF subject, body ON messages
WHEN old.subject <> new.subject OR old.body <> new.body BEGIN
    INSERT INTO message_words (message_words, rowid, subject, body) VALUES ('delete', old.first_cursor, old.subject, old.body);
    INSERT INTO message_words (rowid, subject, body) VALUES (new.first_cursor, new.subject, new.body);
END;
CREATE TRIGGER message_words_of_gone AFTER DELETE ON messages BEGIN
    INSERT INTO message_words (message_words, rowid, subject, body) VALUES ('delete', old.first_cursor, old.subject, old.body);
END;
