"""Where a forecast gets the call graph of its project from. Without an uploaded one it says so (claims.md 6)."""

from collections.abc import Callable

import apsw

from intermute.core.blast_radius import CallGraph
from intermute.store.symbols import load_graph

LoadGraph = Callable[[apsw.Connection, bool], tuple[CallGraph, str] | None]
"""Takes a read connection and whether case is folded; returns the graph and the commit it is of, or None without one."""


def load(connection: apsw.Connection, fold_case: bool) -> tuple[CallGraph, str] | None:
    """Return the call graph of the project and its commit, or None without one."""
    return load_graph(connection, fold_case=fold_case)
