"""Where a forecast gets the call graph of its project from.

The one place that knows how it is stored. Until symbols are uploaded no project has one, which a forecast says rather
than to keep silent about callers (claims.md 6).
"""

from collections.abc import Callable

import apsw

from intermute.core.blast_radius import CallGraph

LoadGraph = Callable[[apsw.Connection, bool], tuple[CallGraph, str] | None]
"""Takes a read connection and whether case is folded; returns the graph and the commit it is of, or None without one."""


def load(_connection: apsw.Connection, _fold_case: bool) -> tuple[CallGraph, str] | None:
    """Return the call graph of the project and its commit: none, since no project has one yet."""
    return None
