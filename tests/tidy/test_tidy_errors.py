"""Every error is a published code, a status and a sentence that helps (style.md 23 and 26, design.md 4)."""

import inspect
from collections.abc import Iterator

import msgspec
import pytest
from source_tree import repeated, wrong_messages

from intermute.core import errors
from intermute.core.errors import DomainError
from intermute.web.errors import STATUS, error_answer

SAMPLES: dict[str, object] = {
    "problems": [("path", "is required")],
    "conflicts": [],
    "denials": [],
    "holders": ["anna"],
    "allowed": ["GET"],
    "wait_s": 90.0,
    "retry_after_s": 2.0,
    "total": 1,
    "held": 200,
    "asked": 3,
    "reason": "a class is not closed: add the missing ].",
    "asker": "ben",
    "nearest": "/api/agents",
    "missing": [("spec_id", "spec", "s1")],
}
"""Arguments by parameter name; every other parameter is a text."""


def error_classes() -> list[type[DomainError]]:
    """Return all errors of the service, whichever module defines them."""

    def below(cls: type[DomainError]) -> Iterator[type[DomainError]]:
        for each in cls.__subclasses__():
            yield each
            yield from below(each)

    # The client has the same classes once more, as a server told them, and one for codes that it does not know.
    found = {each for each in below(DomainError) if not each.__module__.startswith("intermute.client.")}
    return sorted(found, key=lambda cls: cls.__name__)


def sample(cls: type[DomainError]) -> DomainError:
    """Return an instance with arguments that could occur."""
    if cls.__init__ is DomainError.__init__:
        return cls()
    # A parameter without a default is filled in; those with one stay as most callers leave them.
    wanted = [each.name for each in inspect.signature(cls).parameters.values() if each.default is each.empty]
    return cls(**{name: SAMPLES.get(name, "something") for name in wanted})


CLASSES = error_classes()


def test_errors_are_exported() -> None:
    """Every error is a name of `intermute.core.errors`, so that nobody looks for it in vain."""
    assert {cls.__name__ for cls in CLASSES} == set(errors.__all__) - {"DomainError"}


def test_errors_have_a_status() -> None:
    """Every error has one line in the table of statuses, and the table has no other."""
    assert set(STATUS) == set(CLASSES)


def test_errors_have_codes_of_their_own() -> None:
    """A code names one class, so that it can keep its meaning (style.md 26)."""
    assert repeated((cls.__name__, cls.code) for cls in CLASSES) == []


def test_repeated_or_missing_code_is_named() -> None:
    """Control: a second class with the same code, and one without a code, are reported."""
    assert repeated([("A", "gone"), ("B", "gone"), ("C", "")]) == ["B has the code of A: gone", "C has no code"]


def test_errors_give_advice() -> None:
    """Every message is one line of whole sentences."""
    assert wrong_messages({cls.__name__: sample(cls).message for cls in CLASSES}) == []


@pytest.mark.parametrize(
    "text",
    ["nope.", "Conflict", "the thing is gone, reserve it again.", "Held by None: work elsewhere.", "A line.\nTwo."],
)
def test_message_without_advice_is_named(text: str) -> None:
    """Control: a fragment, a lower-case start, a missing value and two lines are reported."""
    assert wrong_messages({"Bad": text})


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_error_answers_with_its_code_and_advice(cls: type[DomainError]) -> None:
    """The body carries the code, either as `error` or beside the original's own text, and the advice."""
    answer = error_answer(sample(cls))

    body = msgspec.json.decode(answer.body)
    assert answer.status == STATUS[cls]
    assert cls.code in (body["error"], body.get("code"))
    assert body["message"] == sample(cls).message


@pytest.mark.parametrize(
    "cls", [cls for cls in CLASSES if STATUS.get(cls) in (429, 503, 507)], ids=lambda c: c.__name__
)
def test_error_to_be_retried_says_when(cls: type[DomainError]) -> None:
    """429, 503 and 507 carry Retry-After (design.md 4)."""
    assert int(error_answer(sample(cls)).headers["Retry-After"]) >= 1
