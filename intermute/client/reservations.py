"""Reservations: taken, waited for, held while a block runs, and given back."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
import trio

from intermute.client.calls import Calls
from intermute.client.errors import NoAnswer, NotIntermute
from intermute.client.leases import Keeper, Lease, held_for_s
from intermute.core import limits
from intermute.core.api import checks, handing_over
from intermute.core.api import reservations as api
from intermute.core.errors import DomainError, NotYours, ReservationEnded, UnknownReservation, UnknownTicket
from intermute.core.wishes import OnConflict

LEASE_TTL_S: Final = 300  # seconds; who crashes is in the way for no longer. As long as silence is borne.
RENEW_EVERY_S: Final = 30.0  # seconds; by so much a loss may be heard of late.
_RELEASE_TIMEOUT_S: Final = 5.0  # seconds that leaving a block may take, whatever the server does.
_FRESH_S: Final = 1.0  # seconds from asking to the answer, within which the two are taken for one moment.
_MINUTE_S: Final = 60
_OVER: Final = (ReservationEnded, UnknownReservation, NotYours)


class Reservations:
    """What one agent holds, and what is in its way."""

    def __init__(self, calls: Calls, nursery: trio.Nursery) -> None:
        self._calls, self._nursery = calls, nursery

    async def reserve(self, *patterns: str, **fields: Any) -> api.ReservationView:
        """Ask for patterns, all or nothing; `fields` are those of `Reserve` (Any: as it has them).

        With `on_conflict="wait"` it returns when the turn has come, within `wait_seconds` (55 by default), however many calls
        that takes, and also across a restart of the server.

        Raises: ReservationConflict, with what is in the way; as `call`. Cancellation: what was granted meanwhile stays
        reserved until its time is up.
        """
        return (await self._granted(self._question(patterns, fields)))[0]

    @asynccontextmanager
    async def hold(
        self, *patterns: str, renew_every_s: float = RENEW_EVERY_S, cancels: bool = True, **fields: Any
    ) -> AsyncIterator[Lease]:
        """Hold patterns while the block runs: `async with client.reservations.hold("src/api/**") as lease:`.

        It is renewed in the background and released at the end. When it is lost, the block is cancelled and `LeaseLost`
        raised, since an edit without a lease must not go on. With `cancels=False` the block runs on, `lease.lost` is set,
        and `LeaseLost` is raised at its end. An error of the block itself comes out as it is. `fields` as in `reserve` (Any:
        as there); the time to live is 300 s by default, so that nobody waits long for an agent that crashed.
        """
        ttl_s = _ttl_s(fields)
        asked = {name: value for name, value in fields.items() if name != "ttl_minutes"} | {"ttl_seconds": ttl_s}
        view, sent_s = await self._granted(self._question(patterns, asked))
        if trio.current_time() - sent_s > _FRESH_S:  # It was waited for: how long ago it began, only the server knows.
            sent_s = trio.current_time()
            view = await self.renew(view.id, ttl_seconds=ttl_s)
        lease = Lease(self._calls, view, sent_s + held_for_s(view))
        with trio.CancelScope() as body:
            keeper = Keeper(
                self._calls, lease, ttl_s=ttl_s, renew_every_s=renew_every_s, on_loss=body if cancels else None
            )
            self._nursery.start_soon(keeper.run)
            try:
                yield lease
            finally:
                keeper.scope.cancel()
                if not lease.is_lost:
                    with trio.move_on_after(_RELEASE_TIMEOUT_S, shield=True):
                        await self._let_go(lease)
        if lease.lost_because is not None:
            raise lease.lost_because

    async def renew(self, reservation_id: str, **fields: Any) -> api.ReservationView:
        """Hold a reservation for a new time, or in another mode; `fields` are those of `RenewReservation` (Any: as there)."""
        question = api.RenewReservation(**{"reservation_id": reservation_id, "agent_id": self._agent(), **fields})
        return await self._calls.call(question, api.ReservationView)

    async def release(self, reservation_id: str) -> api.Released:
        """Give one reservation back."""
        question = api.ReleaseReservation(reservation_id=reservation_id, agent_id=self._agent())
        return await self._calls.call(question, api.Released)

    async def release_all(self) -> api.Released:
        """Give back all that the agent holds."""
        return await self._calls.call(api.ReleaseAll(agent_id=self._calls.agent), api.Released)

    async def check(self, *patterns: str, **fields: Any) -> checks.Checked:
        """Return what is in the way of patterns, without reserving; `fields` are those of `CheckTargets` (Any: as there)."""
        wished = {"patterns": list(patterns) or None, "agent_id": self._agent(), **fields}
        return await self._calls.call(checks.CheckTargets(**wished), checks.Checked)

    async def validate(self, reservation_id: str, fence: int) -> checks.Validated:
        """Return whether a reservation still holds under its fence."""
        question = checks.ValidateReservation(reservation_id=reservation_id, fence=fence, agent_id=self._agent())
        return await self._calls.call(question, checks.Validated)

    async def get(self, reservation_id: str) -> api.ReservationView:
        """Return one reservation, active or ended."""
        return await self._calls.call(api.GetReservation(reservation_id=reservation_id), api.ReservationView)

    async def list(self, **fields: Any) -> api.ReservationList:
        """Return a page of reservations; `fields` are those of `ListReservations` (Any: as it has them)."""
        return await self._calls.call(api.ListReservations(**fields), api.ReservationList)

    async def request_release(self, reservation_id: str, reason: str | None = None) -> handing_over.Requested:
        """Ask its holder to let go of a reservation."""
        question = handing_over.RequestRelease(reservation_id=reservation_id, agent_id=self._agent(), reason=reason)
        return await self._calls.call(question, handing_over.Requested)

    async def transfer(self, reservation_id: str, to: str, reason: str | None = None) -> api.ReservationView:
        """Give a reservation to another agent."""
        question = handing_over.TransferReservation(
            reservation_id=reservation_id, to=to, agent_id=self._agent(), reason=reason
        )
        return await self._calls.call(question, api.ReservationView)

    def _agent(self) -> str | None:
        return None if self._calls.identity is None else self._calls.identity.address

    def _question(self, patterns: tuple[str, ...], fields: Mapping[str, Any]) -> api.Reserve:  # Any: see `reserve`.
        return api.Reserve(**{"patterns": list(patterns) or None, "agent_id": self._calls.agent, **fields})

    async def _granted(self, question: api.Reserve) -> tuple[api.ReservationView, float]:
        """Return what was granted, and when it was asked for, waiting for it if the question says so. Raises: as `call`."""
        key, asked = self._calls.make_key(), question
        wait_s = limits.WAIT_MAX_S if question.wait_seconds is None else question.wait_seconds
        until_s = trio.current_time() + wait_s
        while True:
            sent_s = trio.current_time()
            try:
                # One key for all of it: the server keeps the grant under it, and a place in the queue is not kept.
                view = await self._calls.ask(asked, key=key)
            except UnknownTicket:
                if trio.current_time() >= until_s:
                    raise
                view = None  # The server was restarted, which empties the queue.
            if isinstance(view, api.ReservationView):
                return view, sent_s
            assert question.on_conflict == OnConflict.WAIT, "nothing else is answered with a ticket"
            left_s = max(0.0, until_s - trio.current_time())
            ticket = None if view is None else view.ticket
            asked = msgspec.structs.replace(question, ticket=ticket, wait_seconds=left_s)

    async def _let_go(self, lease: Lease) -> None:
        try:
            await self.release(lease.id)
        except _OVER as over:
            lease.lose(over.message)
        except (DomainError, NoAnswer, NotIntermute) as failed:
            lease.release_failure = failed


def _ttl_s(fields: Mapping[str, Any]) -> int:  # Any: see `reserve`.
    wished = fields.get("ttl_seconds") or (fields.get("ttl_minutes") or 0) * _MINUTE_S or LEASE_TTL_S
    return min(int(wished), limits.TTL_MAX_S)
