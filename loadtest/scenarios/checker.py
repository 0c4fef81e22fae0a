"""A worker that checks paths, every other one held by somebody."""

import random
from collections.abc import Sequence
from typing import Final

from loadtest.engine.connection import Answer, LoadFailed
from loadtest.engine.site import Site

_CONFLICT: Final = {True: b'"conflict":true', False: b'"conflict":false'}


class Checker:
    """Asks what is in the way of a held path and of a free one in turn, and demands the right answer."""

    def __init__(
        self, site: Site, project: str, held: Sequence[str], chance: random.Random, operation: str = "check"
    ) -> None:
        self._operation = operation
        self._site, self._project, self._held, self._chance = site, project, held, chance
        self._is_held = False

    def ask(self) -> tuple[str, bytes]:
        """Ask about the next path."""
        self._is_held = not self._is_held
        path = self._chance.choice(self._held)
        wanted = path if self._is_held else f"{path}.free"
        target = f"/api/reservations/check?project={self._project}&path={wanted}&agent=asker"
        return self._operation, self._site.request("GET", target)

    def take(self, answer: Answer, _sent_s: float, _answered_s: float) -> None:
        """Demand that what is held is a conflict, and what is free is none. Raises: LoadFailed."""
        if answer.status != 200 or _CONFLICT[self._is_held] not in answer.body:
            raise LoadFailed(f"expected {_CONFLICT[self._is_held]!r}, got {answer.status}: {answer.body[:500]!r}")

    def lose(self, _sent_s: float, _broke_s: float) -> None:
        """Need nothing: a check changes nothing."""
