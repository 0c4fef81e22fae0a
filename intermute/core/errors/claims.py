"""Refusals about waiting for reservations, and about requests that came before or too late."""

from collections.abc import Mapping, Sequence

from intermute.core.errors.domain_error import DomainError


class Deadlock(DomainError):
    """The request would wait for itself: each of the named waits for the next, the last for the first."""

    code = "deadlock"

    def __init__(self, cycle: Sequence[str]) -> None:
        super().__init__()
        self.cycle = tuple(cycle)

    @property
    def message(self) -> str:
        circle = " waits for ".join((*self.cycle, self.cycle[0]))
        return f"Nobody in this circle could ever go on: {circle}. Release what the others wait for, then ask again."

    @property
    def details(self) -> Mapping[str, object]:
        return {"cycle": list(self.cycle)}


class TooManyWaiters(DomainError):
    """The queue has no room for one more."""

    code = "too_many_waiters"

    def __init__(self, whose: str, waiting: int) -> None:
        super().__init__()
        self.whose, self.waiting = whose, waiting

    @property
    def message(self) -> str:
        have = "have" if self.whose == "you" else "has"
        return f"{self.whose.capitalize()} {have} {self.waiting} requests waiting already, which is the limit: work elsewhere meanwhile, or DELETE /api/reservations/{{ticket}} for one that is no longer needed."

    @property
    def details(self) -> Mapping[str, object]:
        return {"limit": self.waiting}


class TooMuchInTheWay(DomainError):
    """More is in the way than a request may wait for."""

    code = "too_much_in_the_way"

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    @property
    def message(self) -> str:
        return f"More than {self.limit} reservations stand in the way, too many to wait for: ask for less of the tree."

    @property
    def details(self) -> Mapping[str, object]:
        return {"limit": self.limit}


class UnknownTicket(DomainError):
    """Nothing waits or was granted under this ticket: it left the queue, or the server was restarted."""

    code = "unknown_ticket"

    def __init__(self, ticket: str) -> None:
        super().__init__()
        self.ticket = ticket

    @property
    def message(self) -> str:
        return f"Nothing waits under the ticket {self.ticket!r} any more: send the whole request again, without the ticket."


class StaleForecast(DomainError):
    """A claim that bears on the request has changed since the forecast that it relies on."""

    code = "stale_forecast"

    def __init__(self, if_seq: int, seq: int, changed: Sequence[object]) -> None:
        super().__init__()
        self.if_seq, self.seq, self.changed = if_seq, seq, tuple(changed)

    @property
    def message(self) -> str:
        return f"What others hold there has changed since {self.if_seq}, and nothing was reserved: forecast again (POST /api/forecast), then send its as_of_seq as if_seq."

    @property
    def details(self) -> Mapping[str, object]:
        return {"if_seq": self.if_seq, "seq": self.seq, "changed": list(self.changed)}


class IdempotencyKeyReused(DomainError):
    """The key stands for another request of the same agent."""

    code = "idempotency_key_reused"

    def __init__(self, key: str, reservation_id: str) -> None:
        super().__init__()
        self.key, self.reservation_id = key, reservation_id

    @property
    def message(self) -> str:
        return f"You have used the key {self.key[:100]!r} for another request: send a new key with a new request."

    @property
    def details(self) -> Mapping[str, object]:
        return {"reservation_id": self.reservation_id}
