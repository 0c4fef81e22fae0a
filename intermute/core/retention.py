"""How long events are kept: which rule an event falls under, and from which cursor on a log can be read without a gap.

Decided here and nowhere else: the first rule whose kind matches a type of event decides about it, and what no rule matches
is kept for ever. An event goes once it is older than its rule's `keep_days`, or not among the newest `keep_events` of all
that fall under the rule. Of each type the oldest go first, so one cursor tells what of it is gone. Source: guarantees.md G11.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from intermute.core import limits
from intermute.core.events import EventType

EVERY_KIND: Final = "*"
KIND_PATTERN: Final = r"^(\*|[a-z]+\.(\*|[a-z_]+))$(?!\n)"
MARKER: Final = EventType.PROJECT_TRIMMED
"""The event that tells of a trim: it is trimmed with others and counts for no rule, else trimming would never end."""

Kind = Annotated[
    str,
    Meta(
        max_length=limits.EVENT_KIND_CHARS_MAX,
        pattern=KIND_PATTERN,
        description="A type of event, `message.*` for all types of messages, or `*` for all events.",
    ),
]


class RetentionRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Which events are kept for how long, or how many of them; without either limit, all of them for ever."""

    kind: Kind = EVERY_KIND
    keep_days: Annotated[float, Meta(ge=0, le=limits.KEEP_DAYS_MAX)] | None = None
    keep_events: Annotated[int, Meta(ge=0, le=limits.KEEP_EVENTS_MAX)] | None = None

    @property
    def keeps_everything(self) -> bool:
        """Tell whether nothing goes by this rule."""
        return self.keep_days is None and self.keep_events is None

    def matches(self, event_type: str) -> bool:
        """Tell whether the rule is about this type of event."""
        return self.kind in (EVERY_KIND, event_type, event_type.partition(".")[0] + ".*")


def unknown_kinds(rules: Iterable[RetentionRule]) -> list[str]:
    """Return the kinds that no type of event has: a mistyped one would keep for ever what was to go."""
    return [rule.kind for rule in rules if not any(map(rule.matches, EventType))]


def types_by_rule(rules: Sequence[RetentionRule]) -> list[tuple[RetentionRule, list[str]]]:
    """Return the rules by which something may go, each with the types of events that fall under it."""
    taken: set[str] = set()
    found = []
    for rule in rules:
        types = [each.value for each in EventType if each not in taken and rule.matches(each)]
        taken.update(types)
        if types and not rule.keeps_everything:
            found.append((rule, types))
    return found


def oldest_cursor(gone: Mapping[str, int], types: Iterable[str] | None) -> int:
    """Return the first cursor after which nothing of these types (None: of any) is gone; 0 where all of it is there.

    Args: gone, of each type the cursor of the last event that was trimmed.
    """
    return max(gone.values() if types is None else (gone.get(each, 0) for each in types), default=0)
