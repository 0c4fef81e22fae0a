"""When a status may follow another, and what happens where a reference leads nowhere. Pure; the switches are arguments."""

from collections.abc import Callable, Iterable

from intermute.core.entities.definition import Entity, Kind
from intermute.core.entities.values import Values, referred_ids
from intermute.core.errors import StatusRefused, UnknownReference


def check_status(entity: Entity, before: str | None, wished: str, *, is_strict: bool) -> None:
    """Refuse a status that does not follow from the one before; None is that of a new entity.

    Free unless the project is strict. Raises: StatusRefused.
    """
    if not is_strict or not entity.flow or before == wished:
        return
    allowed = entity.flow if before is None else entity.flow.get(before, tuple(entity.flow))
    if wished not in allowed:
        raise StatusRefused(entity.kind, before, wished, tuple(allowed))


def check_references(
    entity: Entity, values: Values, is_there: Callable[[Kind, str], bool], *, is_strict: bool
) -> list[str]:
    """Return a warning for each reference that leads nowhere. Raises: UnknownReference, where the project is strict."""
    missing = [
        (field.name, field.refers_to, each)
        for field in entity.references
        if field.refers_to is not None
        for each in referred_ids(field, values)
        if not is_there(field.refers_to, each)
    ]
    if missing and is_strict:
        raise UnknownReference(missing)
    return [
        f"The field {field} names the {kind} {each!r}, which this project does not have."
        for field, kind, each in missing
    ]


def circle(start: str, first: Iterable[str], next_of: Callable[[str], Iterable[str]]) -> list[str] | None:
    """Return a circle through `start` if what follows it leads back, each member once and the start at both ends."""
    came_from: dict[str, str] = {}
    waiting: list[str] = []
    for each in first:
        if each not in came_from:
            came_from[each] = start
            waiting.append(each)
    while waiting:
        here = waiting.pop()
        if here == start:
            path = [start]
            step = came_from[start]
            while step != start:
                path.append(step)
                step = came_from[step]
            return [start, *reversed(path[1:]), start]
        for each in next_of(here):
            if each not in came_from:
                came_from[each] = here
                waiting.append(each)
    return None
