"""Who may have how many commands waiting: a share of its project's mailbox for each agent, and one of the whole service.

Rules: an agent's share is told by its token, else by what the request says of itself (X-Agent-ID, or the agent in its
body), so that nobody can use up the share of one that proves itself; names that nobody registered are one share together,
since they could be made up without end. What gives something back has a share and a reserve of its own. A project gets
some commands in however busy the others are. Source: guarantees.md G14.
"""

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Final

from intermute.core import limits
from intermute.core.api.agents import DeregisterAgent
from intermute.core.api.handing_over import ForceRelease
from intermute.core.api.reservations import ReleaseAll, ReleaseReservation
from intermute.core.errors import ServerOverloaded
from intermute.project.mail import Request
from intermute.project.state import ProjectState

_RELEASES: Final = frozenset({ReleaseReservation, ReleaseAll, ForceRelease, DeregisterAgent})
_WHO: Final = ("agent_id", "agent", "sender")
"""Fields in which a body says who asks."""


def is_release(request: Request) -> bool:
    """Tell whether a request gives back what others may wait for."""
    return type(request.command) in _RELEASES


def share_of(request: Request, state: ProjectState | None) -> Hashable:
    """Return whose share of the mailbox a request takes."""
    caller = request.caller
    claims = caller.claims or next(filter(None, (getattr(request.command, name, None) for name in _WHO)), None)
    agent = state.agents.find(claims) if state is not None and isinstance(claims, str) else None
    if agent is None:
        return (is_release(request), None, False)
    is_proved = (
        caller.token_hash is not None and state is not None and state.agents.of_token(caller.token_hash) is agent
    )
    return (is_release(request), agent.id, is_proved)


class Crowd:
    """Counts the commands that are being asked, in one project and in all."""

    def __init__(self, everywhere: "Crowd | None" = None) -> None:
        self.size = 0
        self._everywhere = everywhere or self

    @contextmanager
    def entered(self, *, is_needed: bool) -> Iterator[None]:
        """Count one more for the length of the block. Raises: ServerOverloaded."""
        is_much = self._everywhere.size >= limits.COMMANDS_MAX and self.size >= limits.COMMANDS_PER_PROJECT_MIN
        if is_much and not is_needed:
            raise ServerOverloaded
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def _count(self, more: int) -> None:
        for crowd in {self, self._everywhere}:
            crowd.size += more
