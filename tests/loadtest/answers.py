"""A site that nobody asks, and answers made by hand: for workers whose service is a double that lies."""

import json
from pathlib import Path

from loadtest.engine.connection import Answer
from loadtest.engine.site import Site


def silent_site(directory: Path, *, has_faults: bool = False) -> Site:
    """Return a site at which no service is."""
    return Site(port=1, seed=7, is_quick=True, directory=directory, has_faults=has_faults, connections=4)


def answer(status: int, fields: object) -> Answer:
    """Return an answer with this JSON."""
    return Answer(status, json.dumps(fields).encode(), b"HTTP/1.1 %d" % status)
