"""A held reservation renews itself, is given back at the end, and is loud when it is lost."""

from functools import partial

import pytest
import trio
from carriers import proxy_to, until

from intermute.client import Client, LeaseLost, Retries
from intermute.core.api.handing_over import ForceRelease, ForceReleased
from intermute.core.api.reservations import ListWaiting, WaitingList
from intermute.core.errors import ReservationConflict
from intermute.embedded import Server

PATIENCE_S = 15.0
SOON_S = 0.05
EAGER = Retries(first_s=0.005, longest_s=0.05)


class Wrong(Exception):
    """An error of the block's own."""


async def take_by_force(hosted: Server, project: str, reservation_id: str) -> None:
    """End a reservation as an operator does."""
    async with Client(hosted.url, project=project) as operator:
        await operator.call(ForceRelease(reservation_id=reservation_id, reason="needed"), ForceReleased)


async def is_free(hosted: Server, project: str, path: str) -> bool:
    """Tell whether nobody holds a path."""
    async with Client(hosted.url, project=project) as other:
        return not (await other.reservations.check(path)).conflict


async def test_lease_outlives_its_time_and_ends_with_its_block(hosted: Server, project: str) -> None:
    """A lease of one second is held for as long as the block runs, and is free at once afterwards."""
    async with (
        Client(hosted.url, project=project, agent_name="anna") as anna,
        anna.reservations.hold("src/**", ttl_seconds=1, renew_every_s=0.2) as lease,
    ):
        first = lease.until_s
        await trio.sleep_until(first + 0.5)
        await lease.check()
        assert lease.until_s > first
        assert not await is_free(hosted, project, "src/a.py")

    assert await is_free(hosted, project, "src/a.py")


async def test_reservation_that_nobody_renews_ends(hosted: Server, project: str) -> None:
    """Control: without the block the same reservation is over after its second."""
    async with Client(hosted.url, project=project, agent_name="anna") as anna:
        held = await anna.reservations.reserve("src/**", ttl_seconds=1)
        await trio.sleep(1.2)

        assert not (await anna.reservations.validate(held.id, held.fence)).valid


async def test_lost_lease_cancels_its_block(hosted: Server, project: str) -> None:
    """Whoever holds a lease that was taken away is stopped, and told why, within the time between renewals."""
    async with Client(hosted.url, project=project, agent_name="anna") as anna:
        with trio.fail_after(PATIENCE_S), pytest.raises(LeaseLost, match="stop editing") as lost:
            async with anna.reservations.hold("src/**", renew_every_s=SOON_S) as lease:
                await take_by_force(hosted, project, lease.id)
                await trio.sleep_forever()

    assert lost.value.reservation.patterns == ["src/**"]
    assert "has ended (forced)" in lost.value.why
    assert lease.is_lost


async def test_lost_lease_is_told_without_cancelling(hosted: Server, project: str) -> None:
    """With `cancels=False` the block runs to its end; `lost` is set meanwhile, and the end says it all the same."""
    has_ended = False
    async with Client(hosted.url, project=project, agent_name="anna") as anna:
        with trio.fail_after(PATIENCE_S), pytest.raises(LeaseLost):
            async with anna.reservations.hold("src/**", renew_every_s=SOON_S, cancels=False) as lease:
                await take_by_force(hosted, project, lease.id)
                await lease.lost.wait()
                await trio.lowlevel.checkpoint()
                has_ended = True

    assert has_ended


async def test_lease_is_lost_when_the_service_cannot_be_reached_in_time(hosted: Server, project: str) -> None:
    """A lease that cannot be renewed is lost when its time is up by the client's clock, and not later."""
    async with (
        proxy_to(hosted.url) as proxy,
        Client(proxy.url, project=project, agent_name="anna", retries=EAGER) as anna,
    ):
        with trio.fail_after(PATIENCE_S), pytest.raises(LeaseLost, match="could not be renewed in time"):
            async with anna.reservations.hold("src/**", ttl_seconds=1, renew_every_s=SOON_S) as lease:
                proxy.shut()
                await trio.sleep_forever()

        assert trio.current_time() - lease.until_s < 0.5


async def test_short_outage_costs_no_lease(hosted: Server, project: str) -> None:
    """A service that is back before the time is up has not taken the lease away."""
    async with (
        proxy_to(hosted.url) as proxy,
        Client(proxy.url, project=project, agent_name="anna", retries=EAGER) as anna,
        anna.reservations.hold("src/**", ttl_seconds=3, renew_every_s=SOON_S) as lease,
    ):
        proxy.shut()
        await trio.sleep(0.3)
        proxy.is_open = True
        until_s = lease.until_s

        async def is_renewed() -> bool:
            return lease.until_s > until_s

        await until(is_renewed)
        await lease.check()


async def test_check_finds_a_loss_that_nobody_told_of_yet(hosted: Server, project: str) -> None:
    """Before something that cannot be undone the holder can ask, and does not wait for the next renewal."""
    async with Client(hosted.url, project=project, agent_name="anna") as anna:
        with trio.fail_after(PATIENCE_S), pytest.raises(LeaseLost):
            async with anna.reservations.hold("src/**") as lease:
                await lease.check()
                await take_by_force(hosted, project, lease.id)
                await lease.check()


async def test_lease_that_was_gone_at_the_end_is_told(hosted: Server, project: str) -> None:
    """A block that ends before the next renewal still hears that its lease did not last."""
    async with Client(hosted.url, project=project, agent_name="anna") as anna:
        with pytest.raises(LeaseLost):
            async with anna.reservations.hold("src/**") as lease:
                await take_by_force(hosted, project, lease.id)


async def test_own_error_comes_out_alone_and_gives_the_lease_back(hosted: Server, project: str) -> None:
    """An error of the block is raised as it is, in no group, and what was held is free."""
    async with Client(hosted.url, project=project, agent_name="anna") as anna:
        with pytest.raises(Wrong):
            async with anna.reservations.hold("src/**"):
                raise Wrong

    assert await is_free(hosted, project, "src/a.py")


async def test_cancelled_block_gives_the_lease_back(hosted: Server, project: str) -> None:
    """Whoever is cancelled from outside holds nothing afterwards, and is told of no loss."""
    async with Client(hosted.url, project=project, agent_name="anna") as anna:
        with trio.move_on_after(0.2) as scope:
            async with anna.reservations.hold("src/**"):
                await trio.sleep_forever()

    assert scope.cancelled_caught
    assert await is_free(hosted, project, "src/a.py")


async def test_conflict_is_raised_at_the_top_of_the_block(hosted: Server, project: str) -> None:
    """What is held by somebody else is refused with who holds it, and the block never runs."""
    async with (
        Client(hosted.url, project=project, agent_name="anna") as anna,
        Client(hosted.url, project=project, agent_name="ben") as ben,
        anna.reservations.hold("src/**", reason="IM-1"),
    ):
        with pytest.raises(ReservationConflict) as refused:
            async with ben.reservations.hold("src/a.py"):
                raise AssertionError("both hold it")

    [conflict] = refused.value.conflicts
    assert (conflict.held_by, conflict.reason, conflict.example) == ("anna", "IM-1", "src/a.py")  # type: ignore[attr-defined] # as told.


async def test_turn_is_waited_for(hosted: Server, project: str) -> None:
    """With `on_conflict="wait"` the block begins when the other one has ended, and holds for its full time."""
    order: list[str] = []
    async with (
        Client(hosted.url, project=project, agent_name="anna") as anna,
        Client(hosted.url, project=project, agent_name="ben") as ben,
        trio.open_nursery() as nursery,
    ):

        async def wait_for_it() -> None:
            async with ben.reservations.hold("src/a.py", on_conflict="wait", wait_seconds=10, ttl_seconds=2) as lease:
                order.append("ben")
                await lease.check()
                assert lease.until_s - trio.current_time() > 1.5

        async with anna.reservations.hold("src/**"):
            nursery.start_soon(wait_for_it)
            await until(partial(is_waiting, anna, "ben"))
            await trio.sleep(1.2)
            order.append("anna")

    assert order == ["anna", "ben"]


async def is_waiting(client: Client, name: str) -> bool:
    """Tell whether an agent waits for its turn."""
    return name in [each.held_by for each in (await client.call(ListWaiting(), WaitingList)).waiting]
