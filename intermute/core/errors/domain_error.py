"""What every answer that is not a success has in common."""

from collections.abc import Mapping
from typing import ClassVar


class DomainError(Exception):
    """Base of all answers that are not a success. `code` is stable; `details` are extra fields of the body."""

    code: ClassVar[str] = ""
    legacy_error: ClassVar[str | None] = None
    """The text that the original puts under `error` (contract.md 0.4); the body then has `code` beside it."""
    retry_after_s: float | None = None

    @property
    def message(self) -> str:
        """One sentence that tells the reader, usually an agent, what to do next."""
        raise NotImplementedError

    @property
    def details(self) -> Mapping[str, object]:
        """Further fields of the body."""
        return {}

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"
