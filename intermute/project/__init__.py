"""The actor of one project: the only writer of that project, and what serves it."""
