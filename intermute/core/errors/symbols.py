"""Refusals about the symbol index."""

from collections.abc import Mapping

from intermute.core.errors.domain_error import DomainError


class SymbolIndexFull(DomainError):
    """The project's index would be larger than one may be."""

    code = "symbol_index_full"

    def __init__(self, what: str, limit: int, would_be: int) -> None:
        super().__init__()
        self.what, self.limit, self.would_be = what, limit, would_be

    @property
    def message(self) -> str:
        return f"The index would have {self.would_be} {self.what} and the limit is {self.limit}: leave out generated and foreign code, and calls that are unsure."

    @property
    def details(self) -> Mapping[str, object]:
        return {"what": self.what, "limit": self.limit, "would_be": self.would_be}
