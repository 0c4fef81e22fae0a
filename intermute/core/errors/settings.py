"""Refusals about a project's switches."""

from collections.abc import Mapping

from intermute.core.errors.domain_error import DomainError


class SettingsInUse(DomainError):
    """What is held now was compared under the present rule for upper and lower case."""

    code = "settings_in_use"

    def __init__(self, claims: int) -> None:
        super().__init__()
        self.claims = claims

    @property
    def message(self) -> str:
        return f"All that is held, declared or waited for ({self.claims} in all) was compared under the present case_folding: release them or wait until they end, then set it."

    @property
    def details(self) -> Mapping[str, object]:
        return {"claims": self.claims}
