-- How much of the memory for a call graph each file takes: calls alone do not bound it, since addresses may be long.

ALTER TABLE symbol_files ADD COLUMN graph_bytes INTEGER NOT NULL DEFAULT 0;
