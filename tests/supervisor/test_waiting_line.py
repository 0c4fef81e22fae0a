"""How the room of a mailbox is shared out, and who is taken first where not all fit."""

from collections import Counter

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from supervisor import Envelope, Mailbox, MailboxFull
from supervisor.waiting_line import WaitingLine

Box = Mailbox[str, str]
CAPACITY = 12
ASKS = st.lists(st.tuples(st.sampled_from(["ask", "ask", "ask", "take"]), st.integers(0, 5)), max_size=80)


class FirstComeLine(WaitingLine[str, str]):
    """The negative control: whoever comes first gets the room, and is taken first."""

    def add(self, envelope: Envelope[str, str], *, is_needed: bool) -> bool:
        """Queue it if there is any place."""
        if self.room.is_full:
            return False
        share, envelope.share = envelope.share, None
        added = super().add(envelope, is_needed=is_needed)
        envelope.share = share
        return added


async def ask_soon(nursery: trio.Nursery, box: Box, *requests: str, is_needed: bool = False) -> list[str]:
    """Ask for each request, whose first letter is its share; return those that were refused."""
    refused: list[str] = []

    async def ask(request: str) -> None:
        try:
            await box.ask(request, timeout_s=100, share=request[0], is_needed=is_needed)
        except MailboxFull:
            refused.append(request)

    for request in requests:
        nursery.start_soon(ask, request)
        await wait_all_tasks_blocked()
    return refused


def flood(letter: str, count: int) -> list[str]:
    """Return so many requests of one share."""
    return [f"{letter}{number}" for number in range(count)]


@pytest.mark.parametrize(("flooders", "held"), [("a", [6]), ("ab", [6, 3]), ("abc", [6, 3, 2]), ("abcd", [6, 3, 2, 1])])
async def test_flood_leaves_room_for_the_next(nursery: trio.Nursery, flooders: str, held: list[int]) -> None:
    """Each share that floods takes half of what the ones before it have left."""
    box: Box = Mailbox(CAPACITY, "box")

    refused = [len(await ask_soon(nursery, box, *flood(letter, 20))) for letter in flooders]

    assert [20 - each for each in refused] == held
    assert await ask_soon(nursery, box, "z") == ([] if sum(held) < CAPACITY else ["z"])


async def test_flood_together_is_shared_out_evenly(nursery: trio.Nursery) -> None:
    """Three that flood at once get as much each, and what is left is as much again."""
    box: Box = Mailbox(CAPACITY, "box")
    waves = [f"{letter}{number}" for number in range(20) for letter in "abc"]

    refused = await ask_soon(nursery, box, *waves)

    assert Counter(each[0] for each in refused) == {"a": 17, "b": 17, "c": 17}
    assert box.depth == 9


async def test_refusal_says_whether_it_is_the_share(nursery: trio.Nursery) -> None:
    """Whoever has used up its share, and whoever finds the mailbox full, hear different things."""
    box: Box = Mailbox(4, "box")
    await ask_soon(nursery, box, "a0", "a1")

    with pytest.raises(MailboxFull) as over_share:
        await box.ask("a2", timeout_s=1, share="a")
    box.tell("x")
    box.tell("y")
    with pytest.raises(MailboxFull) as full:
        await box.ask("b0", timeout_s=1, share="b")

    assert (over_share.value.is_share, full.value.is_share) == (True, False)


async def test_reserve_is_for_what_is_needed(nursery: trio.Nursery) -> None:
    """In a full mailbox what is needed still finds a place, up to the reserve, of which nobody gets all."""
    box: Box = Mailbox(2, "box", reserve=4)
    box.tell("x")
    box.tell("y")

    assert await ask_soon(nursery, box, "a0") == ["a0"]
    assert await ask_soon(nursery, box, "a1", "a2", "a3", is_needed=True) == ["a3"]
    assert await ask_soon(nursery, box, "b1", is_needed=True) == []
    assert [envelope.request for envelope in await box.take(9)] == ["x", "y", "a1", "a2", "b1"]


async def test_take_that_fits_keeps_the_order_of_arrival(nursery: trio.Nursery) -> None:
    """As long as everything fits into one batch, shares change nothing."""
    box: Box = Mailbox(CAPACITY, "box")
    asked = ["a0", "a1", "b0", "a2", "c0"]
    await ask_soon(nursery, box, *asked)

    assert [envelope.request for envelope in await box.take(5)] == asked


async def test_take_that_does_not_fit_takes_turns(nursery: trio.Nursery) -> None:
    """Who comes behind a flood is in the very next batch, which is still in order of arrival."""
    box: Box = Mailbox(CAPACITY, "box")
    await ask_soon(nursery, box, *flood("a", 6), "b0", "b1", "c0")

    batches = [[envelope.request for envelope in await box.take(4)] for _ in range(3)]

    assert batches == [["a0", "a1", "b0", "c0"], ["a2", "a3", "a4", "b1"], ["a5"]]


async def test_place_is_given_back_by_whoever_leaves(nursery: trio.Nursery) -> None:
    """A place is free again when its request is taken or its asker goes."""
    box: Box = Mailbox(4, "box")
    with trio.CancelScope() as leaves:
        async with trio.open_nursery() as inner:
            assert await ask_soon(inner, box, "a0", "a1", "a2") == ["a2"]
            leaves.cancel()
    assert await ask_soon(nursery, box, "a3", "a4", "a5") == ["a5"]

    await box.take(2)

    assert await ask_soon(nursery, box, "a6", "a7") == []


async def test_delay_is_what_the_oldest_has_waited(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """What a newcomer is told to wait is what others did wait; an empty mailbox promises no wait."""
    box: Box = Mailbox(4, "box")
    assert box.delay_s == 0
    await ask_soon(nursery, box, "a0")
    await trio.sleep(3)
    await ask_soon(nursery, box, "b0")

    assert box.delay_s == 3
    await box.take(1)
    assert box.delay_s == 3
    await box.take(1)
    assert box.delay_s == 0


def check_shares(line: WaitingLine[str, str], steps: list[tuple[str, int]]) -> None:
    """Play asks and takes, and assert what nobody may be denied and nobody may have."""
    for name, number in steps:
        share = f"agent {number}"
        before = Counter(each.share for each in line)
        if name == "ask":
            envelope: Envelope[str, str] = Envelope("x", 1e9, share=share)
            is_added = line.add(envelope, is_needed=False)
            assert is_added == (before[share] < CAPACITY - sum(before.values()))
            assert len(line) < CAPACITY or not (is_added and before[share]), "only a newcomer takes the last place"
            continue
        taken = Counter(each.share for each in line.pop(number))
        assert sum(taken.values()) == min(number, sum(before.values()))
        for one in before:
            for other in before:
                assert taken[one] >= min(before[one], taken[other] - 1), "as many as any other, or all"


def play(line: WaitingLine[str, str], steps: list[tuple[str, int]]) -> None:
    """Play in a loop of its own."""

    async def main() -> None:
        check_shares(line, steps)

    trio.run(main, clock=MockClock())


@given(ASKS)
def test_line_is_fair_in_every_history(steps: list[tuple[str, int]]) -> None:
    """Whoever asks and whenever batches are taken: no share fills the room, and none waits for another one's flood."""
    play(WaitingLine(CAPACITY, 0), steps)


def test_check_catches_an_unfair_line() -> None:
    """Negative control: a line that serves whoever comes first fails the same check."""
    with pytest.raises(AssertionError):
        play(FirstComeLine(CAPACITY, 0), [("ask", 1)] * CAPACITY)
