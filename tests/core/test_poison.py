"""Which requests are the same poison, and how long they are remembered (guarantees.md G16)."""

import pytest

from intermute.core import limits
from intermute.core.agents import Caller
from intermute.core.api.messages import SendMessage
from intermute.core.api.reservations import Reserve
from intermute.core.poison import PoisonList, fingerprint

LOCAL = Caller(is_local=True)
SENT = SendMessage(sender="anna", to=["ben"], body="hello")


def crashed(times: int, at_s: float = 0.0) -> PoisonList:
    """Return a list with one request that crashed so often."""
    found = PoisonList()
    for _ in range(times):
        found.note_crash(b"one", at_s)
    return found


@pytest.mark.parametrize(("crashes", "is_refused"), [(0, False), (2, False), (3, True), (4, True)])
def test_poison_is_refused_from_the_third_crash_on(crashes: int, is_refused: bool) -> None:
    """Two crashes may have been bad luck, three are the request; another request is not touched."""
    found = crashed(crashes)

    assert (found.refuses(b"one", 0.0), found.refuses(b"other", 0.0)) == (is_refused, False)


@pytest.mark.parametrize(("after_s", "is_refused"), [(-0.001, True), (0, False)])
def test_poison_is_forgotten_to_the_instant(after_s: float, is_refused: bool) -> None:
    """A request may be tried again ten minutes after its last crash, as if it had never crashed."""
    found = crashed(3, at_s=100.0)
    now_s = 100.0 + limits.POISON_KEPT_S + after_s

    assert found.refuses(b"one", now_s) == is_refused
    assert found.refused(now_s) == len(found) == int(is_refused)


def test_poison_refusing_does_not_prolong_it() -> None:
    """Whoever goes on asking does not keep a request refused for ever."""
    found = crashed(3)

    asked = [found.refuses(b"one", float(now_s)) for now_s in range(0, limits.POISON_KEPT_S + 1, 10)]

    assert asked == [True] * (len(asked) - 1) + [False]


@pytest.mark.parametrize("others", [limits.POISON_REMEMBERED_MAX - 1, limits.POISON_REMEMBERED_MAX])
def test_poison_list_is_bounded(others: int) -> None:
    """However many requests crash, so many are remembered; the one whose crash is the longest ago goes first."""
    found = crashed(3)

    for number in range(others):
        found.note_crash(b"other %d" % number, 1.0)

    assert len(found) == limits.POISON_REMEMBERED_MAX
    assert found.refuses(b"one", 1.0) == (others < limits.POISON_REMEMBERED_MAX)


def test_fingerprint_is_the_same_for_the_same_request() -> None:
    """What a client sends anew is the same request, whatever token, place in the queue or half character comes with it."""
    reserve = Reserve(agent_id="anna", path_pattern="\ud800")

    assert fingerprint(SENT, LOCAL) == fingerprint(SendMessage(sender="anna", to=["ben"], body="hello"), LOCAL)
    assert fingerprint(SENT, LOCAL) == fingerprint(SENT, Caller(is_local=False, token_hash=b"t"))
    again = Reserve(agent_id="anna", path_pattern="\ud800", ticket="t", wait_seconds=5)
    assert fingerprint(reserve, LOCAL) == fingerprint(again, LOCAL)


@pytest.mark.parametrize(
    ("command", "caller"),
    [
        (SendMessage(sender="anna", to=["ben"], body="hello!"), LOCAL),
        (Reserve(agent_id="anna", path_pattern="hello"), LOCAL),
        (SENT, Caller(is_local=True, claims="anna")),
    ],
)
def test_fingerprint_tells_requests_apart(command: object, caller: Caller) -> None:
    """Control: other content, another operation, or another agent is another request."""
    assert fingerprint(command, caller) != fingerprint(SENT, LOCAL)
