"""SQLite, and nothing but SQLite: how each fact is written and read."""
