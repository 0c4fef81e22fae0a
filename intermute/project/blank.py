"""Answers for projects that nobody has written to yet: those of an empty project, without making a file for a typo."""

from typing import Any

import apsw

from intermute.core.agents import Caller
from intermute.core.ids import ProjectName, RandomBits
from intermute.core.times import Now
from intermute.project.handlers.table import COMMANDS, QUERIES, fact_fetcher
from intermute.project.project import check_identity
from intermute.project.state import ProjectState
from intermute.project.transaction import Desk, Facts, FromStore, Transaction
from intermute.store.migrate import migrate


class BlankProject:
    """An empty project in memory, standing in for every project that does not exist."""

    def __init__(self, now: Now) -> None:
        self._connection = apsw.Connection(":memory:")
        migrate(self._connection, now.wall_us)

    def answer(self, name: ProjectName, query: object, caller: Caller, now: Now) -> Any:  # Any: as Project.answer.
        """Answer a query as an empty project of this name would. Raises: DomainError."""
        state = ProjectState(name, 1, 0, 0)
        check_identity(state, query, caller)
        answer = QUERIES[type(query)](query, Desk(state, now, caller))
        # In memory and empty, so it may run here instead of in a thread.
        return answer.work(self._connection) if isinstance(answer, FromStore) else answer

    def rehearse(self, name: ProjectName, command: object, caller: Caller, now: Now, random_bits: RandomBits) -> Any:
        """Return what an empty project would answer to a command that changes nothing there, or None if it changes it.

        So a refused command makes no file either. Any: as Project.answer. Raises: DomainError.
        """
        state = ProjectState(name, 1, 0, 0)
        check_identity(state, command, caller)
        facts = Facts()
        if (fetch := fact_fetcher(command)) is not None:
            fetch(self._connection, command, facts)
        rehearsal = Transaction(state, now, caller, facts, random_bits)
        answer = COMMANDS[type(command)](command, rehearsal)
        return None if rehearsal.events else answer

    def close(self) -> None:
        """Let the memory go."""
        self._connection.close()
