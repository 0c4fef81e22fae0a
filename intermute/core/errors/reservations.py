"""Refusals about reservations."""

from collections.abc import Mapping, Sequence

from intermute.core import limits
from intermute.core.errors.domain_error import DomainError


class BadPattern(DomainError):
    """A pattern that the dialect refuses; `message` says how to mend it."""

    code = "bad_pattern"

    def __init__(self, pattern: str, reason: str) -> None:
        super().__init__()
        self.pattern, self.reason = pattern, reason

    @property
    def message(self) -> str:
        return f"Correct the pattern {self.pattern[:200]!r}: {self.reason}"

    @property
    def details(self) -> Mapping[str, object]:
        return {"pattern": self.pattern[:1024]}


class PatternTooBroad(DomainError):
    """Finding what the patterns meet would hold up everyone else."""

    code = "pattern_too_broad"

    @property
    def message(self) -> str:
        return "These patterns meet too much of what is reserved to be decided at once: name a directory before the first wildcard, or ask for fewer patterns in one request."


class ReservationConflict(DomainError):
    """Somebody else holds what was asked for; the conflicts are listed, up to a bound."""

    code = "reservation_conflict"

    def __init__(
        self,
        conflicts: Sequence[object],
        holders: Sequence[str],
        wait_s: float,
        *,
        seq: int,
        is_cut: bool,
        alternatives: Sequence[object] = (),
        is_held_still: bool = False,
    ) -> None:
        super().__init__()
        self.conflicts, self.holders, self.wait_s, self.is_cut = tuple(conflicts), tuple(holders), wait_s, is_cut
        self.seq, self.alternatives, self.is_held_still = seq, tuple(alternatives), is_held_still

    @property
    def message(self) -> str:
        who = ", ".join(self.holders[:5])
        outcome = "your reservation stays as it was" if self.is_held_still else "nothing was reserved"
        weaker = ", take one of the alternatives" if self.alternatives else ""
        return f"Held by {who}, and {outcome}: work elsewhere{weaker}, ask the holder in a message, wait with on_conflict: wait, or try again in {max(1, round(self.wait_s))} s at the latest."

    @property
    def details(self) -> Mapping[str, object]:
        cut = {"more_conflicts": True} if self.is_cut else {}
        return {"seq": self.seq, "conflicts": list(self.conflicts), "alternatives": list(self.alternatives), **cut}


class ReservationLimit(DomainError):
    """The agent holds as many reservations as one may."""

    code = "reservation_limit"

    def __init__(self, agent: str, held: int, asked: int) -> None:
        super().__init__()
        self.agent, self.held, self.asked = agent, held, asked

    @property
    def message(self) -> str:
        return (
            f"{self.agent!r} holds {self.held} active reservations and the limit is {limits.RESERVATIONS_PER_AGENT_MAX}: "
            "release some first, or reserve a directory instead of its files."
        )

    @property
    def details(self) -> Mapping[str, object]:
        return {"limit": limits.RESERVATIONS_PER_AGENT_MAX, "held": self.held}


class UnknownReservation(DomainError):
    """No reservation has this id in the project."""

    code = "unknown_reservation"

    def __init__(self, reservation_id: str) -> None:
        super().__init__()
        self.reservation_id = reservation_id

    @property
    def message(self) -> str:
        return f"No reservation {self.reservation_id!r} here; GET /api/reservations?project=… lists the active ones."


class ReservationEnded(DomainError):
    """The reservation was released or has expired."""

    code = "reservation_ended"

    def __init__(self, reservation_id: str, how: str) -> None:
        super().__init__()
        self.reservation_id, self.how = reservation_id, how

    @property
    def message(self) -> str:
        return f"Reservation {self.reservation_id!r} has ended ({self.how}): reserve the path again before you edit."

    @property
    def details(self) -> Mapping[str, object]:
        return {"ended": self.how}


class StaleToken(DomainError):
    """The change came under the fence of a reservation that does not hold; nothing was changed."""

    code = "stale_token"

    def __init__(self, reservation_id: str, reason: str, fence: int | None) -> None:
        super().__init__()
        self.reservation_id, self.reason, self.fence = reservation_id, reason, fence

    @property
    def message(self) -> str:
        return f"Reservation {self.reservation_id!r} does not hold under the fence in If-Reservation-Token ({self.reason}), and nothing was changed: reserve again, look at what others have changed, then send it under the new fence."

    @property
    def details(self) -> Mapping[str, object]:
        return {"reservation_id": self.reservation_id, "reason": self.reason, "fence": self.fence}


class TransferConflict(DomainError):
    """The giver holds other reservations that go with this one only while both have one holder; they are listed."""

    code = "transfer_conflict"

    def __init__(self, conflicts: Sequence[object], receiver: str) -> None:
        super().__init__()
        self.conflicts, self.receiver = tuple(conflicts), receiver

    @property
    def message(self) -> str:
        return f"You hold other reservations that would stand in the way of {self.receiver!r}, so nothing was handed over: release those first."

    @property
    def details(self) -> Mapping[str, object]:
        return {"conflicts": list(self.conflicts)}


class ForceReleaseRefused(DomainError):
    """The caller is no operator, or the holder has not been silent for as long as the caller asks for."""

    code = "force_release_refused"

    def __init__(self, holder: str, wanted_s: int | None = None, silent_s: float | None = None) -> None:
        super().__init__()
        self.holder, self.wanted_s, self.silent_s = holder, wanted_s, silent_s
        if wanted_s is not None and silent_s is not None:
            self.retry_after_s = wanted_s - silent_s + 1  # It has to be longer than that.

    @property
    def message(self) -> str:
        ask = "Ask the holder with POST /api/reservations/{id}/request"
        if self.wanted_s is None:
            return f"Only an operator, who calls from the server's own machine, may take from {self.holder!r} just so. {ask}, or send if_silent_seconds (at least {limits.FORCE_SILENCE_MIN_S}) to take it once the holder has been silent for longer than that."
        if self.silent_s is None:
            return f"{self.holder!r} never registered, so its silence says nothing. {ask}, wait until its time is up, or have an operator take it (without if_silent_seconds)."
        return f"{self.holder!r} was heard {int(self.silent_s)} s ago, which is not longer than {self.wanted_s} s. {ask}, try again later, or have an operator take it (without if_silent_seconds)."

    @property
    def details(self) -> Mapping[str, object]:
        return {} if self.silent_s is None else {"silent_s": int(self.silent_s)}
