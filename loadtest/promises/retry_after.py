"""Who is refused for lack of room is told honestly when to come back: whole seconds, at least one, and then it gets in.

One client may be unlucky: while more is asked than can be done, somebody has to be refused. So a client that does as it is
told is given some tries, and some time, before the service counts as dishonest.
"""

from typing import Final

from loadtest.promises.history import History, Violation

PROMISE: Final = "honest Retry-After"
TRIES_MAX: Final = 10  # refusals in a row that one client which obeys may meet. A guess, revisit.
SECONDS_MAX: Final = 60  # the longest that a client may be told to wait under load; more is a shut door.
TOLD: Final = frozenset({429, 503, 507})
"""The statuses that come with Retry-After."""


class RetryAfter:
    """What refused clients were told, and how those that obeyed fared."""

    promise = PROMISE

    def __init__(self, history: History) -> None:
        self._history = history
        self._refused: dict[str, int] = {}
        self.checked = 0

    def refused(self, at_s: float, who: str, status: int, retry_after: str | None) -> int:
        """Note a refusal; return the seconds to wait. Raises: Violation, where it does not say, or nonsense."""
        self.checked += 1
        self._history.note(at_s, who, who, f"was refused with {status}, Retry-After: {retry_after}")
        if retry_after is None or not retry_after.isdecimal() or not 1 <= int(retry_after) <= SECONDS_MAX:
            raise Violation(
                PROMISE,
                f"{who} was refused with {status} and Retry-After: {retry_after}; whole seconds from 1 to {SECONDS_MAX} were due",
                self._history.about(who),
            )
        return int(retry_after)

    def obeying(self, at_s: float, who: str) -> None:
        """Note that a client which has always waited as told was refused once more. Raises: Violation, if too often."""
        self._history.note(at_s, who, who, "has waited as it was told, and was refused again")
        count = self._refused[who] = self._refused.get(who, 0) + 1
        if count > TRIES_MAX:
            raise Violation(
                PROMISE,
                f"{who} has waited each time as long as it was told and was refused {count} times in a row",
                self._history.about(who),
            )

    def served(self, at_s: float, who: str) -> None:
        """Note that a client which obeys got through."""
        if self._refused.pop(who, 0):
            self.checked += 1
            self._history.note(at_s, who, who, "got through")
