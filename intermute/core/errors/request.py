"""Refusals about the request itself, whatever it asks for."""

from collections.abc import Mapping, Sequence

from intermute.core import limits
from intermute.core.errors.domain_error import DomainError


class InvalidRequest(DomainError):
    """Some fields are wrong; all of them are named at once."""

    code = "invalid_request"

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self.problems = tuple(problems)

    @property
    def message(self) -> str:
        named = "; ".join(f"{field}: {problem}" for field, problem in self.problems[:20])
        return f"Correct these fields and send the request again: {named}{'' if named.endswith('?') else '.'}"

    @property
    def details(self) -> Mapping[str, object]:
        return {"fields": [{"field": field, "problem": problem} for field, problem in self.problems]}


class MalformedJson(DomainError):
    """The body is not one JSON object."""

    code = "malformed_json"

    def __init__(self, problem: str) -> None:
        super().__init__()
        self.problem = problem

    @property
    def message(self) -> str:
        return f"Send the body as one JSON object in UTF-8: {self.problem}."


class BodyTooLarge(DomainError):
    """The body is over the limit."""

    code = "body_too_large"

    @property
    def message(self) -> str:
        return f"Send at most {limits.BODY_BYTES_MAX} bytes in one body; split the work or store large text in a file and send its path."

    @property
    def details(self) -> Mapping[str, object]:
        return {"limit_bytes": limits.BODY_BYTES_MAX}


class UnsupportedMediaType(DomainError):
    """The content type is one that a web page could send without asking, or the body is compressed."""

    code = "unsupported_media_type"

    def __init__(self, given: str) -> None:
        super().__init__()
        self.given = given

    @property
    def message(self) -> str:
        return f"Send 'Content-Type: application/json' and no Content-Encoding (given: {self.given or 'none'})."


class UnknownRoute(DomainError):
    """No operation has this path."""

    code = "unknown_route"

    def __init__(self, path: str, nearest: str | None = None) -> None:
        super().__init__()
        self.path, self.nearest = path, nearest

    @property
    def message(self) -> str:
        hint = f" Did you mean {self.nearest}?" if self.nearest else ""
        return f"There is no {self.path}.{hint} GET /api/openapi.json lists every route."


class MethodNotAllowed(DomainError):
    """The path exists, the method does not."""

    code = "method_not_allowed"

    def __init__(self, method: str, allowed: Sequence[str]) -> None:
        super().__init__()
        self.method, self.allowed = method, tuple(sorted(allowed))

    @property
    def message(self) -> str:
        return f"Use {' or '.join(self.allowed)} here instead of {self.method}."

    @property
    def details(self) -> Mapping[str, object]:
        return {"allowed": list(self.allowed)}
