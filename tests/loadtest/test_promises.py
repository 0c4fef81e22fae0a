"""The checkers: what is right passes, what is wrong is named with its history, and what is unknown is neither."""

import pytest

from loadtest.promises.durability import Durability
from loadtest.promises.event_order import EventOrder
from loadtest.promises.history import LINES_MAX, History, Violation
from loadtest.promises.holders import Holders
from loadtest.promises.retry_after import TRIES_MAX, RetryAfter
from loadtest.promises.wait_order import WaitOrder


def test_holders_one_after_the_other_are_right() -> None:
    """Whoever is granted a path after its holder has sent the release is no second holder."""
    holders = Holders(History())

    holders.granted(1.0, "anna", "r1", ["a.py"], fence=1)
    holders.releasing(2.0, "anna", "r1", ["a.py"])
    holders.granted(3.0, "ben", "r2", ["a.py"], fence=2)

    assert holders.checked == 2


def test_second_holder_is_named_with_the_history() -> None:
    """A grant of what somebody surely holds is a violation, which tells who held it and since when."""
    holders = Holders(History())
    holders.granted(1.0, "anna", "r1", ["a.py", "b.py"])

    with pytest.raises(Violation, match=r"b\.py was granted to ben as r2 while anna held it as r1") as broken:
        holders.granted(2.0, "ben", "r2", ["b.py"])

    assert broken.value.promise == "never two holders at once"
    assert [" ".join(line.split()) for line in broken.value.history] == [
        "0.000000 s anna was granted r1 with fence None [b.py]",
        "1.000000 s ben was granted r2 with fence None [b.py]",
    ]


def test_holder_never_clashes_with_itself() -> None:
    """One agent may hold a path twice, and the release of one of them leaves the other."""
    holders = Holders(History())
    holders.granted(1.0, "anna", "r1", ["a.py"])
    holders.granted(2.0, "anna", "r2", ["a.py"])
    holders.releasing(3.0, "anna", "r1", ["a.py"])

    with pytest.raises(Violation, match="while anna held it as r2"):
        holders.granted(4.0, "ben", "r3", ["a.py"])


def test_shared_holders_go_together_and_not_with_an_exclusive_one() -> None:
    """Two may share a path; nobody gets it for itself meanwhile."""
    holders = Holders(History())
    holders.granted(1.0, "anna", "r1", ["a.py"], is_shared=True)
    holders.granted(2.0, "ben", "r2", ["a.py"], is_shared=True)

    with pytest.raises(Violation):
        holders.granted(3.0, "carl", "r3", ["a.py"])


@pytest.mark.parametrize("fence", [6, 7])
def test_fence_that_does_not_rise_is_named(fence: int) -> None:
    """The next holder of a path has a higher fence than the last one, or old writers cannot be told apart."""
    holders = Holders(History())
    holders.granted(1.0, "anna", "r1", ["a.py"], fence=7)
    holders.releasing(2.0, "anna", "r1", ["a.py"])

    with pytest.raises(Violation, match=f"fence {fence}, after it had been held with 7") as broken:
        holders.granted(3.0, "ben", "r2", ["a.py"], fence=fence)

    assert broken.value.promise == "fences rise"


def test_listed_as_acknowledged_is_right() -> None:
    """What was acknowledged and nothing else: no complaint."""
    kept = Durability(History(), "reservations")
    kept.acknowledged(1.0, "anna", "r1", "a.py")

    kept.demand({"r1": "a.py"}, "after the load")

    assert kept.checked == 1


@pytest.mark.parametrize("listed", [{}, {"r1": "b.py"}])
def test_lost_write_is_named(listed: dict[str, str]) -> None:
    """What was acknowledged and is not listed, or is listed as something else, is lost."""
    kept = Durability(History(), "reservations")
    kept.acknowledged(1.0, "anna", "r1", "a.py")

    with pytest.raises(Violation, match=r"1 acknowledged reservations are not listed .* r1 \(a\.py\)") as broken:
        kept.demand(listed, "after the load")

    assert any("was told that a.py is stored" in line for line in broken.value.history)


def test_write_that_nobody_was_told_of_is_named() -> None:
    """What is listed was acknowledged, or nobody knows what became of it."""
    kept = Durability(History(), "reservations")

    with pytest.raises(Violation, match="nobody was told of"):
        kept.demand({"r1": "a.py"}, "after the load")


@pytest.mark.parametrize("listed", [{}, {"r1": "a.py"}])
def test_write_of_unknown_outcome_may_be_there_or_not(listed: dict[str, str]) -> None:
    """A request whose connection broke was applied or not; both are right."""
    kept = Durability(History(), "reservations")
    kept.unknown(1.0, "anna", "a.py")

    kept.demand(listed, "after the load")


@pytest.mark.parametrize("listed", [{}, {"r1": "a.py"}])
def test_end_of_unknown_outcome_may_have_come_or_not(listed: dict[str, str]) -> None:
    """Between asking for an end and its acknowledgement either is right."""
    kept = Durability(History(), "reservations")
    kept.acknowledged(1.0, "anna", "r1", "a.py")
    kept.ending(2.0, "anna", "r1")

    kept.demand(listed, "after the load")


def test_what_has_ended_and_is_listed_is_named() -> None:
    """An acknowledged release is a write, too."""
    kept = Durability(History(), "reservations")
    kept.acknowledged(1.0, "anna", "r1", "a.py")
    kept.ending(2.0, "anna", "r1")
    kept.ended(3.0, "anna", "r1")

    with pytest.raises(Violation, match="whose end was acknowledged"):
        kept.demand({"r1": "a.py"}, "after the load")


def _heard(*cursors: int) -> EventOrder:
    order = EventOrder(History(), "reader")
    for cursor in cursors:
        order.heard(float(cursor), cursor, "reservation.created")
    return order


def test_events_once_and_in_order_are_right() -> None:
    """What was heard is the log; what came after the log was read does not count."""
    _heard(1, 2, 5, 6).demand([1, 2, 5])


@pytest.mark.parametrize(("cursors", "word"), [((1, 2, 2), "again"), ((1, 3, 2), "too late")])
def test_event_again_or_late_is_named_as_it_comes(cursors: tuple[int, ...], word: str) -> None:
    """Cursors only rise."""
    with pytest.raises(Violation, match=f"heard event 2 {word}"):
        _heard(*cursors)


def test_swallowed_event_is_named() -> None:
    """An event of the log that was never heard is a violation, with what was heard around it."""
    with pytest.raises(Violation, match=r"1 were not heard, such as \[2\]") as broken:
        _heard(1, 3).demand([1, 2, 3])

    assert "the log around 2: [1, 2, 3]" in broken.value.history


def test_event_that_is_not_in_the_log_is_named() -> None:
    """Nothing is told that is not stored."""
    with pytest.raises(Violation, match=r"1 are not in the log, such as \[2\]"):
        _heard(1, 2, 3).demand([1, 3])


@pytest.mark.parametrize("told", [None, "", "0", "1.5", "-1", "soon", "61"])
def test_dishonest_retry_after_is_named(told: str | None) -> None:
    """A refusal says when to come back, in whole seconds and at least one."""
    with pytest.raises(Violation, match="anna was refused with 429"):
        RetryAfter(History()).refused(1.0, "anna", 429, told)


def test_client_that_obeys_gets_some_tries() -> None:
    """Some refusals in a row are bad luck, more are a shut door; a success counts anew."""
    retry = RetryAfter(History())
    for _ in range(2):
        for _ in range(TRIES_MAX):
            assert retry.refused(1.0, "anna", 503, "2") == 2
            retry.obeying(1.0, "anna")
        retry.served(2.0, "anna")
    for _ in range(TRIES_MAX):
        retry.obeying(3.0, "anna")

    with pytest.raises(Violation, match=f"refused {TRIES_MAX + 1} times in a row"):
        retry.obeying(4.0, "anna")


def test_first_come_is_first_served() -> None:
    """Those who were listed are granted in that order; others, whose place nobody saw, at any time."""
    order = WaitOrder(History())
    order.listed(1.0, "a.py", ["t1", "t2"])

    order.granted(2.0, "a.py", "t1")
    order.granted(3.0, "a.py", "unseen")
    order.granted(4.0, "a.py", "t2")

    assert order.checked == 2


def test_jumped_queue_is_named() -> None:
    """Who is granted before somebody that was listed in front has jumped the queue."""
    order = WaitOrder(History())
    order.listed(1.0, "a.py", ["t1", "t2"])

    with pytest.raises(Violation, match=r"t2 was granted a\.py before t1"):
        order.granted(2.0, "a.py", "t2")


def test_changed_places_are_named() -> None:
    """Between two looks nobody changes places; who was granted or left does not count."""
    order = WaitOrder(History())
    order.listed(1.0, "a.py", ["t1", "t2", "t3"])
    order.listed(2.0, "a.py", ["t2", "t3", "t4"])

    with pytest.raises(Violation, match="changed places"):
        order.listed(3.0, "a.py", ["t3", "t2"])


def test_queue_that_was_cut_off_counts_no_more() -> None:
    """A crash empties the queue: what was listed before it says nothing about afterwards."""
    order = WaitOrder(History())
    order.listed(1.0, "a.py", ["t1", "t2"])
    order.gave_up(2.0, "a.py")

    order.granted(3.0, "a.py", "t2")


def test_history_tells_the_last_lines_about_its_subject() -> None:
    """A long history is cut at its beginning, and says so."""
    history = History()
    for number in range(LINES_MAX + 5):
        history.note(float(number), "anna", "a.py", f"step {number}")
        history.note(float(number), "ben", "b.py", "other")

    lines = history.about("a.py")

    assert lines[0] == "(5 earlier ones are left out)"
    assert len(lines) == LINES_MAX + 1
    assert f"step {LINES_MAX + 4}" in lines[-1]


def test_history_forgets_the_oldest() -> None:
    """A history has a bound."""
    history = History(notes_max=2)
    for number in range(3):
        history.note(float(number), "anna", "a.py", f"step {number}")

    assert [line.split("step ")[1] for line in history.about("a.py")] == ["1  [a.py]", "2  [a.py]"]
