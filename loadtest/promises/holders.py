"""Never two holders at once: what one agent surely holds, no other agent is granted.

An agent surely holds a place from when it has read the grant until it sends the release. The service can grant the place
to somebody else only after it has seen that release, so a grant that is read while another agent surely holds the place
is wrong, whatever the network did to the order of the answers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from loadtest.promises.history import History, Violation

PROMISE: Final = "never two holders at once"


@dataclass(frozen=True, slots=True)
class _Held:
    agent: str
    reservation: str


class Holders:
    """Who surely holds which places. A reservation of several places (a directory, a glob) names all of them."""

    promise = PROMISE

    def __init__(self, history: History) -> None:
        self._history = history
        self._held: dict[str, _Held] = {}
        self.checked = 0

    def granted(self, at_s: float, agent: str, reservation: str, places: Iterable[str]) -> None:
        """Note a grant, when its answer has been read. Raises: Violation, where somebody else holds one of the places."""
        held = _Held(agent, reservation)
        for place in places:
            self.checked += 1
            self._history.note(at_s, agent, place, f"was granted {reservation}")
            other = self._held.get(place)
            if other is not None and other.agent != agent:
                raise Violation(
                    PROMISE,
                    f"{place} was granted to {agent} as {reservation} while {other.agent} held it as {other.reservation}",
                    self._history.about(place),
                )
            self._held[place] = held

    def releasing(self, at_s: float, agent: str, reservation: str, places: Iterable[str]) -> None:
        """Note that a release is about to be sent: from now on nobody surely holds the places, whatever comes of it."""
        for place in places:
            self._history.note(at_s, agent, place, f"releases {reservation}")
            held = self._held.get(place)
            if held is not None and held.reservation == reservation:
                del self._held[place]
