"""Never two holders at once: what one agent surely holds, no other agent is granted, and fences only rise.

An agent surely holds a place from when it has read the grant until it sends the release. The service can grant the place
to somebody else only after it has seen that release, so a grant that is read while another agent surely holds the place
is wrong, whatever the network did to the order of the answers. For the same reason its fence has to be higher than that of
any exclusive hold of the place that was read before it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from loadtest.promises.history import History, Violation

PROMISE: Final = "never two holders at once"
FENCES: Final = "fences rise"


@dataclass(frozen=True, slots=True)
class _Held:
    agent: str
    reservation: str
    is_shared: bool


class Holders:
    """Who surely holds which places. A reservation of several places (a directory, a glob) names all of them."""

    promise = PROMISE

    def __init__(self, history: History) -> None:
        self._history = history
        self._held: dict[str, list[_Held]] = {}
        self._fences: dict[str, int] = {}
        self.checked = 0

    def granted(
        self,
        at_s: float,
        agent: str,
        reservation: str,
        places: Iterable[str],
        *,
        fence: int | None = None,
        is_shared: bool = False,
    ) -> None:
        """Note a grant, when its answer has been read. Raises: Violation, where somebody else holds one of the places."""
        mine = _Held(agent, reservation, is_shared)
        for place in places:
            self.checked += 1
            held = self._held.setdefault(place, [])
            self._history.note(at_s, agent, place, f"was granted {reservation} with fence {fence}")
            for other in held:
                if other.agent != agent and not (is_shared and other.is_shared):
                    raise Violation(
                        PROMISE,
                        f"{place} was granted to {agent} as {reservation} while {other.agent} held it as {other.reservation}",
                        self._history.about(place),
                    )
            held.append(mine)
            if fence is not None:
                self._fence(place, agent, fence, is_shared=is_shared)

    def _fence(self, place: str, agent: str, fence: int, *, is_shared: bool) -> None:
        last = self._fences.get(place, -1)
        if fence <= last:
            raise Violation(
                FENCES,
                f"{place} was granted to {agent} with fence {fence}, after it had been held with {last}",
                self._history.about(place),
            )
        if not is_shared:
            self._fences[place] = fence

    def releasing(self, at_s: float, agent: str, reservation: str, places: Iterable[str]) -> None:
        """Note that a release is about to be sent: from now on nobody surely holds the places, whatever comes of it."""
        for place in places:
            self._history.note(at_s, agent, place, f"releases {reservation}")
            held = self._held.get(place, [])
            self._held[place] = [other for other in held if other.reservation != reservation]
