"""When requests are sent, and from when their latency counts."""

import random
import time
from pathlib import Path

import pytest
import trio
from scripted_server import OK, Asker, scripted, site_at

from loadtest.engine import pace
from loadtest.engine.connection import Broken
from loadtest.engine.pace import arrivals, closed_loop, open_loop
from loadtest.engine.samples import Samples
from loadtest.engine.timer import Timer

STALL_S = 0.25
PER_S = 200.0


async def _stalled_once(number: int) -> bytes:
    """Answer at once, but for one request, which takes a quarter of a second."""
    if number == 10:
        await trio.sleep(STALL_S)
    return OK


async def test_open_loop_charges_a_stall_with_all_that_was_due_in_it(tmp_path: Path) -> None:
    """No coordinated omission: what should have been sent while the server stood still has waited, too."""
    samples = Samples()
    async with scripted(_stalled_once) as port:
        site = site_at(port, tmp_path)
        samples.begin_round(site.now_s())
        await open_loop(site, samples, [Asker(site)], 0.5, PER_S, random.Random(7))

    late = [ms for ms in samples.times_ms("ask", "open") if ms > STALL_S * 1000 / 5]
    assert len(late) > PER_S * STALL_S / 2


async def test_closed_loop_sees_a_stall_once(tmp_path: Path) -> None:
    """That is what the open loop is for: here the stall is one slow answer among many."""
    samples = Samples()
    async with scripted(_stalled_once) as port:
        site = site_at(port, tmp_path)
        samples.begin_round(site.now_s())
        await closed_loop(site, samples, [Asker(site)], 0.5)

    assert sum(ms >= STALL_S * 1000 for ms in samples.times_ms("ask", "closed")) == 1


def test_arrivals_are_the_same_for_the_same_seed() -> None:
    """A run can be repeated; other seeds give other times, and about as many as were wanted."""
    times = list(arrivals(random.Random("7/x"), 1_000.0, 2.0))

    assert times == list(arrivals(random.Random("7/x"), 1_000.0, 2.0))
    assert times != list(arrivals(random.Random("8/x"), 1_000.0, 2.0))
    assert times == sorted(times)
    assert 1_800 < len(times) < 2_200
    assert times[-1] < 2.0


async def test_what_finds_no_connection_in_time_is_recorded_as_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that was due is left out: an overloaded server is charged with what nobody could even send."""
    monkeypatch.setattr(pace, "BACKLOG_WITHIN_S", 0.0)
    samples, asked = Samples(), trio.Event()

    async def slow(_number: int) -> bytes:
        asked.set()
        await trio.sleep(STALL_S)
        return OK

    async with scripted(slow) as port:
        site = site_at(port, tmp_path)
        samples.begin_round(site.now_s())
        await open_loop(site, samples, [Asker(site)], STALL_S / 2, PER_S, random.Random(7))
        samples.end_round(site.now_s())

    found = {each.name: each for each in samples.operations()}
    assert found["ask"].count == 1
    assert found["not sent"].statuses == {"-1": found["not sent"].count}
    assert found["not sent"].count > PER_S * STALL_S / 4


async def test_broken_connection_fails_a_run_without_faults(tmp_path: Path) -> None:
    """The service does not break connections in use."""

    async def breaking(_number: int) -> None:
        return None

    async with scripted(breaking) as port:
        site = site_at(port, tmp_path)
        with pytest.raises(Broken):
            await closed_loop(site, None, [Asker(site)], 5.0)


async def test_broken_connection_is_an_unknown_outcome_with_faults(tmp_path: Path) -> None:
    """The worker hears that its request has no answer, and goes on over a new connection."""
    samples = Samples()

    async def breaking_once(number: int) -> bytes | None:
        return None if number == 1 else OK

    async with scripted(breaking_once) as port:
        site = site_at(port, tmp_path, has_faults=True)
        samples.begin_round(site.now_s())
        worker = Asker(site)
        await closed_loop(site, samples, [worker], 0.1)
        samples.end_round(site.now_s())

    assert worker.lost == 1
    assert len(worker.answers) > 1
    assert samples.operations()[0].statuses["0"] == 1


async def test_worker_finishes_what_others_wait_for(tmp_path: Path) -> None:
    """After the time is up a worker is asked for the rest until it has none; that is not recorded."""

    class Resting(Asker):
        left = 3

        def rest(self) -> tuple[str, bytes] | None:
            self.left -= 1
            return self.ask() if self.left >= 0 else None

    async def at_once(_number: int) -> bytes:
        return OK

    samples = Samples()
    async with scripted(at_once) as port:
        site = site_at(port, tmp_path)
        samples.begin_round(site.now_s())
        worker = Resting(site)
        paced = await closed_loop(site, samples, [worker], 0.05)

    assert len(worker.answers) == paced.requests + 3 == samples.recorded + 3


async def test_timer_wakes_in_order_and_never_early() -> None:
    """Whoever waits is woken at its time, whichever came first."""
    begun_s, woken = time.perf_counter(), list[tuple[int, float]]()

    async def wait(number: int) -> None:
        await timer.wait_until(begun_s + number / 200)
        woken.append((number, time.perf_counter() - begun_s))

    with Timer() as timer:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(timer.run)
            async with trio.open_nursery() as waiting:
                for number in (3, 1, 2, 0):
                    waiting.start_soon(wait, number)
            nursery.cancel_scope.cancel()

    assert [number for number, _ in woken] == [0, 1, 2, 3]
    assert all(at_s >= number / 200 for number, at_s in woken)
