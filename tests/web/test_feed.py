"""The feed of a project: everybody gets everything in order, whoever is slow costs nobody else anything (G11, G12, T13).

The hub is the real one; project and sockets are stand-ins.
"""

import pytest
import trio
from stand_ins import Ear, Log, feed_of, follow, settled

from intermute.core import limits
from intermute.core.errors import InternalError, ProjectQuarantined, ShuttingDown
from intermute.core.events import Event, EventType
from intermute.core.ids import Micros
from intermute.web.server import Ending


async def test_everybody_gets_everything_in_order(nursery: trio.Nursery) -> None:
    """Who starts now, who starts before, and who starts while things happen."""
    log = Log()
    feed = feed_of(log)
    nursery.start_soon(feed.run)
    log.grow(250)
    early, late = Ear(nursery), Ear(nursery)
    follow(feed, early)
    follow(feed, late, cursor=250)
    for _ in range(5):
        log.grow(3)
        await trio.lowlevel.checkpoint()
        middle = Ear(nursery)
        follow(feed, middle, cursor=251)
        await settled()
        assert middle.cursors == list(range(252, log.hub.head + 1))

    assert early.cursors == list(range(1, 266))
    assert late.cursors == list(range(251, 266))


async def test_events_of_one_moment_are_sent_together(nursery: trio.Nursery) -> None:
    """Many events of one commit are one send; the control counts sends of single ones."""
    log = Log()
    feed, ear = feed_of(log), Ear(nursery)
    nursery.start_soon(feed.run)
    follow(feed, ear)

    log.grow(50)
    await settled()
    assert (len(ear.heard), ear.offers) == (50, 1)
    for _ in range(3):
        log.grow()
        await settled()
    assert ear.offers == 4


async def test_slow_reader_reads_by_itself_and_comes_back(nursery: trio.Nursery) -> None:
    """It gets the rest from the log when it has room, and then what comes, without a gap; the others never notice."""
    log = Log()
    feed, slow, quick = feed_of(log), Ear(nursery, room=2), Ear(nursery)
    nursery.start_soon(feed.run)
    follow(feed, slow)
    follow(feed, quick)

    log.grow(5)
    await settled()
    log.grow(5)
    await settled()
    assert (slow.cursors, quick.cursors) == ([1, 2], list(range(1, 11)))
    for _ in range(3):
        slow.make_room(1)
        await settled()
    assert slow.cursors == [1, 2, 3, 4, 5]
    slow.make_room(100)
    await settled()
    log.grow(2)
    await settled()

    assert slow.cursors == quick.cursors == list(range(1, 13))


async def test_reader_behind_holds_one_frame(nursery: trio.Nursery) -> None:
    """However much happens while it makes no room, it is asked nothing, and nothing is kept for it but its cursor."""
    log = Log()
    feed, slow = feed_of(log), Ear(nursery, room=0)
    nursery.start_soon(feed.run)
    follower = follow(feed, slow)
    log.grow()
    await settled()
    asked = slow.offers

    for _ in range(20):
        log.grow(10)
        await settled()

    assert slow.offers == asked
    assert follower.reader.cursor == 1, "the frame that waits for room is counted, and nothing after it"


async def test_more_than_memory_holds_is_read_from_the_log(nursery: trio.Nursery) -> None:
    """A commit larger than the hub's tail is missed by nobody."""
    log = Log()
    feed, ear = feed_of(log), Ear(nursery)
    nursery.start_soon(feed.run)
    follow(feed, ear)

    log.grow(limits.EVENT_TAIL_MAX + 100)
    await settled()

    assert ear.cursors == list(range(1, log.hub.head + 1))
    assert log.reads > 0


async def test_reader_whose_events_were_trimmed_is_told(nursery: trio.Nursery) -> None:
    """4410 and the oldest cursor, for what is neither in memory nor in the log any more."""
    log = Log()
    feed, ear, ahead = feed_of(log), Ear(nursery), Ear(nursery)
    nursery.start_soon(feed.run)
    follow(feed, ear)
    follow(feed, ahead, cursor=limits.EVENT_TAIL_MAX + 100)

    log.oldest = 50
    log.grow(limits.EVENT_TAIL_MAX + 100)
    await settled()

    assert ear.ending is not None
    assert (ear.ending.code, "since_cursor=50" in ear.ending.reason) == (4410, True)
    assert ahead.ending is None


@pytest.mark.parametrize(("why", "code"), [(None, 1001), (ShuttingDown(), 1001), (ProjectQuarantined(), 1013)])
async def test_closed_hub_sends_everybody_home(
    nursery: trio.Nursery, why: ShuttingDown | ProjectQuarantined | None, code: int
) -> None:
    """With the cursor to come back with: those who have everything at once, those behind when they have caught up."""
    log = Log()
    feed, ready, slow = feed_of(log), Ear(nursery), Ear(nursery, room=0)
    nursery.start_soon(feed.run)
    follow(feed, ready)
    follow(feed, slow)
    log.grow(3)
    await settled()

    log.hub.close(why)
    await settled()
    assert slow.ending is None
    slow.make_room(100)
    await settled()
    late = Ear(nursery)
    follow(feed, late, cursor=3)

    for ear in (ready, slow, late):
        assert ear.ending is not None
        assert (ear.ending.code, ear.ending.reason.endswith("since_cursor=3")) == (code, True)
    assert slow.cursors == [1, 2, 3]


async def test_cursor_that_no_event_took_is_passed(nursery: trio.Nursery) -> None:
    """The head may be beyond the newest event; whoever is told to come back is told of it."""
    log = Log()
    feed, ear = feed_of(log), Ear(nursery)
    nursery.start_soon(feed.run)
    follower = follow(feed, ear)
    log.events.append(Event(1, EventType.SPEC_CREATED, Micros(1), None, {}))
    log.hub.publish(log.events, 7)
    await settled()

    assert (ear.cursors, follower.reader.cursor) == ([1], 7)


async def test_event_that_comes_while_the_log_is_read_is_not_passed_over(nursery: trio.Nursery) -> None:
    """A reader that finds nothing goes on from where the log ended then, not from where it ends when its turn comes."""
    log = Log()
    feed, ear = feed_of(log), Ear(nursery)
    nursery.start_soon(feed.run)

    def once() -> None:
        log.on_read = lambda: None
        log.grow()

    log.hub.publish([], 3)  # Cursors that no event took: there is nothing to read, and something to catch up with.
    log.on_read = once
    follow(feed, ear)
    await settled()

    assert ear.cursors == [4]


async def test_others_get_to_run_between_a_few_sockets(nursery: trio.Nursery) -> None:
    """However many readers there are, no more than so many are sent to before whoever else is ready has had its turn."""
    log = Log()
    feed = feed_of(log)
    nursery.start_soon(feed.run)
    since_turn = most = 0

    def count() -> None:
        nonlocal since_turn, most
        since_turn += 1
        most = max(most, since_turn)

    ears = [Ear(nursery) for _ in range(5 * limits.PUSHES_AT_ONCE)]
    for ear in ears:
        ear.on_offer = count
        follow(feed, ear)
    await settled()

    log.grow()
    while not all(ear.heard for ear in ears):
        await trio.lowlevel.checkpoint()
        since_turn = 0

    # Trio runs the tasks of one round in any order, so two turns of the feed may follow each other.
    assert 0 < most <= 2 * limits.PUSHES_AT_ONCE


async def test_readers_behind_take_turns(nursery: trio.Nursery) -> None:
    """When a thousand come back at once, a few of them are given events at a time, and the others of the process run."""
    log = Log()
    feed = feed_of(log)
    log.grow(100)
    since_turn = most = 0

    def count() -> None:
        nonlocal since_turn, most
        since_turn += 1
        most = max(most, since_turn)

    ears = [Ear(nursery) for _ in range(100)]
    for ear in ears:
        ear.on_offer = count
        follow(feed, ear)
    while not all(ear.heard for ear in ears):
        await trio.lowlevel.checkpoint()
        since_turn = 0

    assert 0 < most <= 8


async def test_reader_that_leaves_in_the_middle_is_not_sent_to(nursery: trio.Nursery) -> None:
    """Neither by the round that is under way, nor by a later one; nobody else misses anything for it."""
    log = Log()
    feed = feed_of(log)
    ears = [Ear(nursery) for _ in range(limits.PUSHES_AT_ONCE + 2)]
    followers = [follow(feed, ear) for ear in ears]
    nursery.start_soon(feed.run)
    await settled()
    ears[0].on_offer = lambda: feed.leave(followers[-1])

    log.grow()
    await settled()

    assert [len(ear.heard) for ear in ears] == [1] * (len(ears) - 1) + [0]


async def test_feed_that_fails_leaves_nobody_waiting() -> None:
    """A bug ends the feed, and each of its sockets is told to come back; that of the supervisor is another matter."""
    log = Log()
    feed = feed_of(log)
    with pytest.RaisesGroup(TypeError, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            ear = Ear(nursery)
            follow(feed, ear)
            nursery.start_soon(feed.run)
            await settled()
            log.grow(what=object())

    assert ear.ending == Ending(1013, f"{InternalError().code}: come back with since_cursor=0")


async def test_socket_that_is_over_is_not_fed(nursery: trio.Nursery) -> None:
    """A reader whose socket ended while it caught up does not come into the feed."""
    log = Log()
    feed, ear = feed_of(log), Ear(nursery, room=0)
    log.grow()
    follower = follow(feed, ear)
    await settled()

    ear.is_over = True
    ear.make_room(10)
    await settled()
    log.grow()
    nursery.start_soon(feed.run)
    await settled()

    assert ear.cursors == [1]
    assert follower.reader.cursor == 1


async def test_socket_that_ends_as_it_catches_up_does_not_join(nursery: trio.Nursery) -> None:
    """Even where there is nothing left to send to it."""
    log = Log()
    feed, ear = feed_of(log), Ear(nursery)
    log.hub.publish([], 3)
    log.on_read = lambda: setattr(ear, "is_over", True)

    follow(feed, ear)
    await settled()

    assert len(feed) == 0
