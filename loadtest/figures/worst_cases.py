"""Measures the worst that one pair of patterns, and one legal request, can cost the actor's thread.

The pairs are built to be bad for the automata, by hand and by drawing from the pieces that were; all are within the
limits of the dialect. The requests meet a large table: as many targets as are allowed, each as broad as can be.
"""

import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from intermute.core import limits
from intermute.core.api.checks import CheckTargets
from intermute.core.api.reservations import Reserve
from intermute.core.claim_records import Claim, ClaimTarget
from intermute.core.claim_targets import parse_glob
from intermute.core.claims import decide
from intermute.core.errors import DomainError
from intermute.core.ids import AgentId
from intermute.core.lock_table import Mode
from intermute.core.pattern_syntax import BadPattern, Pattern
from intermute.core.patterns import overlap
from intermute.core.relations import relation
from intermute.project.handlers.checks import check_targets
from intermute.project.handlers.reserving import reserve
from intermute.project.transaction import Desk
from loadtest.figures.claims_table import LOCAL, NOW, ClaimsTable, asker

REPEATS: Final = 3  # the best of them counts: others use the machine, too.
PASSES: Final = 3


def _distinct(form: str, count: int) -> str:
    return "/".join(form.replace("#", chr(0x4E00 + n)) for n in range(count))


def _either(form: str, count: int) -> str:
    return "{" + ",".join(form.format("ab"[n % 2], "?" * n) for n in range(count)) + "}"


PAIRS: Final = (
    ("*a" * 31, "a*" * 31 + "b*"),
    ("/".join(["?" + "a" * 30] * 32), "/".join(["a" * 30 + "?"] * 32)),
    ("**/" + _distinct("?aaaaaaaaaaaaaaaaaaaaaaaa#", 31), "**/" + _distinct("aaaaaaaaaaaaaaaaaaaaa?#", 31)),
    ("/".join(["**/a*"] * 16), "/".join(["**/*b"] * 16)),
    (("a" * 31 + "*") * 31, ("a*" + "a" * 30) * 31),
    ("**/" + _distinct("[.#]?", 15) + "/*", "**/" + _distinct("?[.#]", 15) + "/*"),
    ("{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}*" + "a" * 40 + "?", "?" * 6 + "*{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}" + "a" * 20),
    (_either("*{0}{1}", 12), "*a*b*a*b*"),
    (_either("*{0}{1}", 24), "*a*b*a*b*a*b*a*b*"),
    (_either("**/*{0}{1}*", 20), "**/*a?b*/**/*b?a*"),
    (_either("*{0}*{1}", 28), _either("?*{0}{1}*", 24)),
    (_either("**/*{0}*/**/x{1}", 15), "**/*a*b*/**/*"),
    ("/".join(["*[a-m]*"] * 10), "/".join(["*[k-z]?*"] * 7 + ["**"])),
)
_PIECES: Final = ("*", "?", "a", "b", "*a", "a?b", "[ab]*", "*[!a]", "**", "*a?b*", "b*a", "x")


def worst_pairs(seed: int, drawn: int) -> dict[str, float]:
    """Return the milliseconds of the slowest pair: for its overlap, its relation, and both with the verdict."""
    pairs = [(parse_glob(a).pattern, parse_glob(b).pattern) for a, b in PAIRS]
    pairs += _drawn(random.Random(seed), drawn)
    asked: dict[str, list[Callable[[], object]]] = {
        "worst_pair_overlap_ms": [partial(overlap, a, b) for a, b in pairs],
        "worst_pair_relation_ms": [partial(relation, a, b) for a, b in pairs],
        "worst_pair_decide_ms": [partial(decide, _claim("a", a, Mode.X), _claim("b", b, Mode.SIX)) for a, b in pairs],
    }
    worst = {name: max(_least_ms(calls)) for name, calls in asked.items()}
    return worst | {"worst_pair_of": float(len(pairs))}


def _least_ms(calls: list[Callable[[], object]]) -> list[float]:
    """Return for each call the least it took, in passes over all: what disturbs one pass is over in the next."""
    passes = [[best_ms(do) for do in calls] for _ in range(PASSES)]
    return [min(times) for times in zip(*passes, strict=True)]


def worst_requests(table: ClaimsTable) -> dict[str, float]:
    """Return the milliseconds that each of the worst requests takes; `worst_request_ms` is the slowest."""
    found = {f"worst_request_{name}_ms": best_ms(partial(_tried, do)) for name, do in _requests(table)}
    return found | {"worst_request_ms": max(found.values())}


def best_ms(do: Callable[[], object]) -> float:
    """Return the least milliseconds that this takes."""
    times = []
    for _ in range(REPEATS):
        started_ns = time.perf_counter_ns()
        do()
        times.append((time.perf_counter_ns() - started_ns) / 1e6)
    return min(times)


def _drawn(draw: random.Random, count: int) -> Iterator[tuple[Pattern, Pattern]]:
    def text() -> str:
        names = ["".join(draw.choices(_PIECES, k=draw.randint(1, 6))) for _ in range(draw.randint(1, 8))]
        return "/".join(name if name == "**" else name.replace("**", "*") for name in names)

    def union() -> str:
        return "{" + ",".join(text() for _ in range(draw.randint(1, 16))) + "}"

    drawn = 0
    while drawn < count:
        try:
            pair = parse_glob(union()).pattern, parse_glob(union()).pattern
        except BadPattern:
            continue  # Over a limit.
        drawn += 1
        yield pair


def _claim(holder: str, pattern: Pattern, mode: Mode) -> Claim:
    target = ClaimTarget(0, parse_glob(pattern.text), mode)
    return Claim(holder, 1, AgentId(holder), (target,))


def _requests(table: ClaimsTable) -> Iterator[tuple[str, Callable[[], object]]]:
    many = range(limits.TARGETS_PER_REQUEST_MAX)
    wide = [
        f"x{n}/{{{','.join(f'*{m}' for m in range(64))}}}" for n in range(limits.ALTERNATIVES_PER_REQUEST_MAX // 64)
    ]
    asked = {
        "everything": ["**"],
        "broad_and_free": [f"*/*/*/*zz{n}" for n in many],
        "broad_and_held": [f"**/*{n}_test.py" for n in many],
        "alternatives": [f"**/{each}" for each in wide],
        "held_directories": list(dict.fromkeys(each.directory for each in table.held[:2_000]))[: len(many)],
        "free_files": [f"nowhere/{n}/a.py" for n in many],
    }
    for name, patterns in asked.items():
        for mode in ("exclusive", "curate", "collaborate"):
            command = Reserve(agent_id=asker(0), patterns=patterns, mode=mode)
            yield f"{name}_{mode}", partial(_reserve_and_forget, table, command)
        part = Reserve(agent_id=asker(0), patterns=patterns, partial=True)
        yield f"{name}_partial", partial(_reserve_and_forget, table, part)
        query = CheckTargets(agent_id=asker(0), patterns=patterns)
        yield f"{name}_check", partial(check_targets, query, Desk(table.state, NOW, LOCAL))


def _reserve_and_forget(table: ClaimsTable, command: Reserve) -> None:
    """Decide a request; what it is granted is taken out of the book again."""
    view = reserve(command, table.transaction())
    lease = table.state.leases.get(getattr(view, "id", ""))
    assert lease is not None
    table.state.leases.end(lease)
    table.state.stored()


def _tried(do: Callable[[], object]) -> None:
    try:
        do()
    except DomainError:
        return  # A refusal costs what it costs.
