"""One module per area; each handler decides one command or answers one query."""
