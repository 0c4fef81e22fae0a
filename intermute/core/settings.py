"""A project's switches. A new one is a field here, and a field of the two types in `core/api/settings.py`.

Source: design.md 6, claims.md 5.
"""

import msgspec

from intermute.core.claims import BranchPolicy, Policy, SymbolFloor
from intermute.core.retention import RetentionRule


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a project has chosen; without a choice it is the defaults."""

    case_folding: bool = False
    """Whether `SRC/A.py` and `src/a.py` are one path."""
    branch_policy: BranchPolicy = BranchPolicy.ANY
    symbol_floor: SymbolFloor = SymbolFloor.WARN
    strict_references: bool = False
    """Whether an entity that refers to something which is not there is refused."""
    strict_status: bool = False
    """Whether the status of an entity has to follow its flow."""
    retention: tuple[RetentionRule, ...] = ()
    """How long events are kept; without a rule, for ever."""
    archive_trimmed: bool = True
    """Whether events are written to an archive file before they are trimmed by these rules."""

    @property
    def policy(self) -> Policy:
        """What bears on claims."""
        return Policy(self.branch_policy, self.symbol_floor)

    def changes(self, wished: msgspec.Struct) -> dict[str, object]:
        """Return what is wished and not so yet, by name; `wished` has the fields of this class, None for no wish."""
        wishes = {name: getattr(wished, name) for name in self.__struct_fields__}
        return {name: wish for name, wish in wishes.items() if wish is not None and wish != getattr(self, name)}
