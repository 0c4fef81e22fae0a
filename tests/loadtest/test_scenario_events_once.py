"""The checker of `push`: a gap, a double, a wrong order and a stranger are found, and nothing else is."""

import pytest

from loadtest.promises.events_once import EventsOnce, Heard
from loadtest.promises.history import Violation

LOG = [3, 4, 7, 8, 9]
"""Cursors of a log; they need not follow each other."""


def _heard(*cursors: int, after: int = 0, name: str = "socket-1") -> Heard:
    heard = Heard(name, after)
    heard.cursors += cursors
    heard.times_s += [float(cursor) for cursor in cursors]
    return heard


def test_every_event_once_in_order_is_right() -> None:
    """Sockets that began at different places, one of them at the end, have each heard the rest."""
    once = EventsOnce()

    once.demand([_heard(*LOG), _heard(8, 9, after=7), _heard(after=9)], LOG)

    assert once.checked == 7


@pytest.mark.parametrize(
    ("heard", "text"),
    [
        (_heard(3, 4, 8, 9), "event 7 was due, and event 8 came instead: a gap"),
        (_heard(3, 4, 7), "event 8 was due and never came: 2 of 5"),
        (_heard(), "event 3 was due and never came: 5 of 5"),
        (_heard(3, 4, 4, 7, 8, 9), "event 7 was due, and event 4 came a second time"),
        (_heard(*LOG, 9), "no event was due, and event 9 came a second time"),
        (_heard(3, 7, 4, 8, 9), "event 4 was due, and event 7 came before it"),
        (_heard(3, 4, 5, 7, 8, 9), "event 7 was due, and event 5 came, which the log does not have"),
        (_heard(4, 7, 8, 9, after=4), "event 7 was due, and event 4 came, which the log does not have"),
        (_heard(*LOG, 10), "no event was due, and event 10 came, which the log does not have"),
    ],
    ids=[
        "gap",
        "end",
        "nothing",
        "double",
        "double at the end",
        "order",
        "stranger",
        "before its begin",
        "after the log",
    ],
)
def test_wrong_events_are_told_with_their_history(heard: Heard, text: str) -> None:
    """Whatever one of the sockets heard wrongly breaks the promise, and what it heard around there is printed."""
    with pytest.raises(Violation) as broken:
        EventsOnce().demand([_heard(*LOG, name="socket-0"), heard], LOG)

    assert f"socket-1: {text}" in broken.value.explanation
    assert broken.value.history[0].startswith("the log from there: ")
    for cursor in heard.cursors:
        assert any(line.endswith(f"hears {cursor}") for line in broken.value.history)


def test_what_was_judged_is_not_demanded_again() -> None:
    """A socket goes on from the last event that it was held to."""
    once, heard = EventsOnce(), _heard(3, 4)
    once.demand([heard], [3, 4])
    once.settle([heard])

    heard.cursors += [7]
    heard.times_s += [7.0]
    once.demand([heard], [4, 7])

    assert heard.last == 7
    with pytest.raises(Violation, match="event 8 was due"):
        once.demand([heard], [7, 8])
