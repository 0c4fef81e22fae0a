"""What a call can end with beside its answer: the service's own refusals as the service's own classes, and no answer.

A refusal is found by its code. It is an instance of the class of `intermute.core.errors` that has this code, so that
`except ReservationConflict` means the same on both sides; what the server said of it are its `message`, `details`, `status`
and `retry_after_s`, and each detail is an attribute too. A code that this version does not know is a `ServiceError`.
"""

from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from math import isfinite
from typing import Any, Final

import msgspec

from intermute.core import errors as service
from intermute.core.api.claims import Alternative, ConflictView
from intermute.core.errors import CursorExpired, DomainError

_SAID_CHARS_MAX: Final = 500  # characters of an answer that is not ours which are repeated.
_SHAPES: Final[Mapping[str, Any]] = {  # Any: types, as msgspec takes them.
    "conflicts": tuple[ConflictView, ...],
    "alternatives": tuple[Alternative, ...],
}


class Told(DomainError):
    """A refusal as the server told it. Each field of its body is an attribute."""

    status: int
    """The HTTP status."""

    def tell(self, status: int, said: Mapping[str, Any], retry_after_s: float | None) -> None:  # Any: JSON.
        """Take over what the server said; called once, by `refusal_of`."""
        self.status, self.retry_after_s = status, retry_after_s
        self._message = str(said.get("message") or f"The server answered {status} and did not say why.")
        self._details = {name: value for name, value in said.items() if name not in ("error", "message", "code")}
        Exception.__init__(self, self._message)

    @property
    def message(self) -> str:
        return self._message

    @property
    def details(self) -> Mapping[str, object]:
        return self._details

    def __getattr__(self, name: str) -> Any:  # Any: a field of the body.
        details = self.__dict__.get("_details", {})
        if name not in details:
            raise AttributeError(
                f"{type(self).__name__} told nothing of {name!r}; it told {', '.join(details) or 'nothing'}"
            )
        shape = _SHAPES.get(name)
        return details[name] if shape is None else msgspec.convert(details[name], shape)


class ServiceError(Told):
    """A refusal whose code this version does not know: `code` is what the server sent."""


class NoAnswer(Exception):
    """The service could not be reached, or did not answer in time.

    `may_be_done` is true where a change was sent and nobody but the server knows whether it was applied: look before you
    repeat it.
    """

    def __init__(self, call: str, why: str, *, attempts: int, may_be_done: bool) -> None:
        super().__init__(call, why)
        self.call, self.why, self.attempts, self.may_be_done = call, why, attempts, may_be_done

    def __str__(self) -> str:
        tried = f"after {self.attempts} attempts " if self.attempts > 1 else ""
        advice = (
            "look whether it was applied before you repeat it"
            if self.may_be_done
            else "start `intermute serve`, or check INTERMUTE_URL"
        )
        return f"{self.call} got no answer {tried}({self.why}): {advice}."


class NotIntermute(Exception):
    """Something answered that is not Intermute, or a version that this client cannot read; the text shows what it said."""

    def __init__(self, call: str, status: int, body: bytes) -> None:
        shown = body[:_SAID_CHARS_MAX].decode(errors="replace")
        super().__init__(
            f"{call} was answered {status} with what this client cannot read: {shown!r}; check INTERMUTE_URL."
        )
        self.status = status


def conflicts_in(refused: DomainError) -> list[ConflictView]:
    """Return what a refusal lists as being in the way, each in its type; nothing where it lists nothing."""
    return msgspec.convert(refused.details.get("conflicts", []), list[ConflictView])


def refusal_of(call: str, status: int, headers: Mapping[str, str], body: bytes) -> Told:
    """Return the error that an answer tells of. Raises: NotIntermute."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise NotIntermute(call, status, body) from None
    if not isinstance(said, dict) or not isinstance(said.get("error"), str):
        raise NotIntermute(call, status, body)
    code = said["code"] if isinstance(said.get("code"), str) else said["error"]
    if status == HTTPStatus.GONE and code not in _by_code():
        code = CursorExpired.code
    known = _by_code().get(code)
    cls = ServiceError if known is None else _told(code)
    error = cls.__new__(cls)
    error.tell(status, said, retry_after_s(headers))
    if known is None:
        error.__dict__["code"] = code  # The class has none of its own.
    return error


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of Retry-After, or None where it is absent or no number."""
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if isfinite(seconds) and seconds >= 0 else None


@cache
def _by_code() -> Mapping[str, type[DomainError]]:
    classes = [getattr(service, name) for name in service.__all__]
    return {each.code: each for each in classes if each.code}


@cache
def _told(code: str) -> type[Told]:
    """Return a class that is both the one with this code, whose name it has, and told by a server."""
    known = _by_code()[code]
    made: type[Told] = type(known.__name__, (Told, known), {"__doc__": known.__doc__, "__module__": __name__})
    return made
