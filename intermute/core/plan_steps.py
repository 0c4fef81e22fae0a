"""The steps of a plan, and the order in which their `after` edges let them run.

Decided here and nowhere else: which plans are plans. Invariant: an ordered plan has no unknown, double or circular step.
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from intermute.core.claim_records import ClaimTarget
from intermute.core.errors import InvalidRequest
from intermute.core.ids import AgentId

PLAN_STEPS_MAX: Final = 100  # steps of one plan; a guess: more is a programme, and nobody reads its pairs.
PLAN_TARGETS_MAX: Final = 200  # targets of all steps; if all of them meet, 20,000 findings at some 20 µs (measured).
PLAN_GLOBS_MAX: Final = 64  # targets with a wildcard; 2,000 pairs at some 0.1 ms, the worst we could build at 5 ms.


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that an agent means to do. `targets` has the destinations in it, too."""

    name: str
    agent: AgentId
    targets: tuple[ClaimTarget, ...]
    after: tuple[str, ...] = ()
    """The steps that have to be done first."""
    branch: str | None = None
    worktree: str | None = None


def in_order(plan: Sequence[Step]) -> list[Step]:
    """Return the steps so that each comes after those it waits for, as near to the given order as that allows.

    Raises: InvalidRequest.
    """
    _check(plan)
    places = {step.name: place for place, step in enumerate(plan)}
    waiting = [len(set(step.after)) for step in plan]
    followers: dict[str, list[int]] = {step.name: [] for step in plan}
    for place, step in enumerate(plan):
        for name in dict.fromkeys(step.after):
            followers[name].append(place)
    ready = [place for place, count in enumerate(waiting) if not count]
    order: list[Step] = []
    while ready:
        step = plan[heapq.heappop(ready)]
        order.append(step)
        for place in followers[step.name]:
            waiting[place] -= 1
            if not waiting[place]:
                heapq.heappush(ready, place)
    if len(order) < len(plan):
        left = {step.name for step in plan} - {step.name for step in order}
        cycle = _cycle(plan, places, left)
        raise InvalidRequest([("plan", f"these steps wait for each other: {' after '.join((*cycle, cycle[0]))}")])
    return order


def predecessors(order: Sequence[Step]) -> dict[str, set[str]]:
    """Return for each of the ordered steps all that have to be done before it."""
    before: dict[str, set[str]] = {}
    for step in order:
        before[step.name] = set(step.after).union(*(before[name] for name in step.after))
    return before


def _cycle(plan: Sequence[Step], places: Mapping[str, int], left: set[str]) -> list[str]:
    """Return a cycle among the steps left over; each of them waits for another one of them."""
    name = next(step.name for step in plan if step.name in left)
    way: list[str] = []
    while name not in way:
        way.append(name)
        name = next(each for each in plan[places[name]].after if each in left)
    return way[way.index(name) :]


def _check(plan: Sequence[Step]) -> None:
    problems: list[tuple[str, str]] = []
    if len(plan) > PLAN_STEPS_MAX:
        problems.append(("plan", f"at most {PLAN_STEPS_MAX} steps in one plan"))
    if sum(len(step.targets) for step in plan) > PLAN_TARGETS_MAX:
        problems.append(("plan", f"at most {PLAN_TARGETS_MAX} targets in all steps together"))
    if sum(not target.target.pattern.is_plain for step in plan for target in step.targets) > PLAN_GLOBS_MAX:
        problems.append(("plan", f"at most {PLAN_GLOBS_MAX} targets with wildcards in all steps together; name paths"))
    places: dict[str, int] = {}
    for place, step in enumerate(plan):
        if places.setdefault(step.name, place) != place:
            problems.append((f"plan[{place}].step", f"two steps are called {step.name!r}; give each its own name"))
    problems += [
        (f"plan[{place}].after", f"step {step.name!r} is after {name!r}, which is no step of this plan")
        for place, step in enumerate(plan)
        for name in step.after
        if name not in places
    ]
    if problems:
        raise InvalidRequest(problems)
