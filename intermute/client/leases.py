"""A reservation that is held while a block runs: renewed in the background, released at the end, and loud when it is lost.

Time is the client's monotonic clock, counted from before the request was sent, so that the client never believes in a lease
for longer than the server does.
"""

from typing import Final

import trio

from intermute.client.calls import Calls
from intermute.client.errors import NoAnswer, NotIntermute
from intermute.client.retrying import is_passing
from intermute.core.api import checks
from intermute.core.api import reservations as api
from intermute.core.errors import DomainError

_MS_PER_S: Final = 1000
_SHARE: Final = 3.0  # of the time that is left, one third until the next renewal: two more can fail.
_PAUSE_S_MIN: Final = 0.05  # seconds between two tries to renew, so that a server in trouble is not flooded.


class LeaseLost(Exception):
    """The reservation does not hold any more, or may not: what was edited under it since has to be looked at."""

    def __init__(self, reservation: api.ReservationView, why: str) -> None:
        super().__init__(reservation.id, why)
        self.reservation, self.why = reservation, why

    def __str__(self) -> str:
        held = ", ".join(self.reservation.patterns)
        return (
            f"The reservation of {held} is lost ({self.why}): stop editing, reserve anew, and look at what has changed."
        )


class Lease:
    """A reservation that is kept. `reservation` is as it was told last."""

    def __init__(self, calls: Calls, reservation: api.ReservationView, until_s: float) -> None:
        self.reservation, self.until_s = reservation, until_s
        self.lost = trio.Event()
        """Set when it is lost, for tasks that wait for that."""
        self.lost_because: LeaseLost | None = None
        self.release_failure: Exception | None = None
        """Why the release at the end of the block did not get through; the lease then ends by itself."""
        self._calls = calls

    @property
    def id(self) -> str:
        """The id of the reservation."""
        return self.reservation.id

    @property
    def fence(self) -> int:
        """The number that only grows: send it along with what is written."""
        return self.reservation.fence

    @property
    def is_lost(self) -> bool:
        """Tell whether it is known to be lost."""
        return self.lost_because is not None

    async def check(self) -> None:
        """Ask the server whether it still holds, before something that cannot be undone. Raises: LeaseLost; as `call`."""
        if self.lost_because is None:
            question = checks.ValidateReservation(
                reservation_id=self.id, fence=self.fence, agent_id=self.reservation.agent_id
            )
            said = await self._calls.call(question, checks.Validated)
            if not said.valid:
                self.lose(said.message)
        if self.lost_because is not None:
            raise self.lost_because.with_traceback(None)

    def lose(self, why: str) -> None:
        """Note that it is lost; the first reason counts."""
        if self.lost_because is None:
            self.lost_because = LeaseLost(self.reservation, why)
            self.lost.set()


class Keeper:
    """Renews one lease until it is cancelled or the lease is lost; `on_loss` is cancelled then."""

    def __init__(
        self, calls: Calls, lease: Lease, *, ttl_s: int, renew_every_s: float, on_loss: trio.CancelScope | None
    ) -> None:
        self.scope = trio.CancelScope()
        self._calls, self._lease, self._on_loss = calls, lease, on_loss
        self._ttl_s, self._renew_every_s = ttl_s, renew_every_s

    async def run(self) -> None:
        """Keep the lease; returns when there is nothing left to keep."""
        lease = self._lease
        with self.scope:
            while not lease.is_lost:
                left_s = lease.until_s - trio.current_time()
                with trio.move_on_after(min(self._renew_every_s, max(_PAUSE_S_MIN, left_s / _SHARE))):
                    await lease.lost.wait()
                if not lease.is_lost:
                    await self._renew()
            if self._on_loss is not None:
                self._on_loss.cancel()

    async def _renew(self) -> None:
        """Renew once; what cannot be renewed until its time is up is lost."""
        lease, sent_s = self._lease, trio.current_time()
        # Without a key: renewing twice does no harm, and the server keeps the answer to each key for a day.
        question = api.RenewReservation(
            reservation_id=lease.id, agent_id=lease.reservation.agent_id, ttl_seconds=self._ttl_s
        )
        why = "the server did not answer until its time was up"
        with trio.move_on_at(max(lease.until_s, sent_s + _PAUSE_S_MIN)):
            try:
                view = await self._calls.call(question, api.ReservationView, is_keyed=False)
            except DomainError as refused:
                if not is_passing(refused):
                    lease.lose(refused.message)
                    return
                why = refused.message
            except (NoAnswer, NotIntermute) as failed:
                why = str(failed)
            else:
                lease.reservation, lease.until_s = view, sent_s + held_for_s(view)
                return
        if trio.current_time() >= lease.until_s:
            lease.lose(f"it could not be renewed in time: {why}")


def held_for_s(view: api.ReservationView) -> float:
    """Return for how long a reservation is held from the moment it was asked for."""
    return (view.expires_in_ms or 0) / _MS_PER_S
