"""The relation of two patterns is exact, and mirrored when they change places."""

import itertools
from functools import cache
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import mark

from intermute.core.pattern_syntax import is_node
from intermute.core.patterns import Pattern, overlap, parse
from intermute.core.relations import Relation, mirrored, relation


def _relation(a: str, b: str) -> Relation:
    return relation(parse(a), parse(b), states_max=100_000)


@mark.parametrize(
    ("a", "b", "expected"),
    [
        ("src", "src/**", "equal"),
        ("src/", "./src//", "equal"),
        ("**", ".", "equal"),
        ("src", "src/a.py", "contains"),
        ("src", "src2/a.py", "disjoint"),
        ("**", "README.md", "contains"),
        ("src/*.py", "src/billing.py", "contains"),
        ("src/*.py", "src/api/x.py", "disjoint"),
        ("src/*", "src", "within"),
        ("src/*_test.py", "src/api_*.py", "partial"),
        ("**/test_*.py", "tests/unit", "partial"),
        ("src/**", "src/**/*.py", "contains"),
        ("**/*.py", "src/*.py", "contains"),
        ("**/*.py", "src/**/test_*.py", "contains"),
        ("**/*.py", "README.md", "partial"),
        ("packages/*/src", "packages/a/src", "contains"),
        ("packages/*/src", "packages/a", "partial"),
        ("packages", "packages/*/src", "contains"),
        ("{src,tests}", "src/*.py", "contains"),
        ("{src/a.py,src/b.py}", "src/*.py", "within"),
        ("{[a],a/b/x*}", "a/b", "partial"),
        ("{a,b}", "{b,a}", "equal"),
        ("{a,b}", "{b,c}", "partial"),
        ("src/{a*,[!a]*}", "src/*", "equal"),
        ("src/{?,??*}", "src/*", "equal"),
        ("src/{?,???*}", "src/*", "within"),
        ("{**/a*,**/[!a]*}", "**/*", "equal"),
        ("{*,*/**/*}", "**/*", "equal"),
        ("**/*", "**", "within"),
        ("*", "*/**/*", "disjoint"),
        ("a/**/b", "a/b", "contains"),
        ("**/a/**/*.py", "a/*.py", "contains"),
        ("src/[a-m]*.py", "src/[a-z]*.py", "within"),
        ("[ab]", "{[a],[b]}", "equal"),
        ("src/[b]", "src/b", "equal"),
    ],
)
def test_relation_of_known_pairs(a: str, b: str, expected: str) -> None:
    """Each fine point of the dialect has its published relation, and the mirrored one the other way round."""
    found = _relation(a, b)

    assert found == expected
    assert _relation(b, a) == mirrored(found)


@mark.parametrize(
    ("a", "b", "expected"),
    [
        ("[.a]", "a", "equal"),
        ("[.a]", "[a]", "equal"),
        ("[.a]/x*", "a", "within"),
        ("[.a][.a]", "{[.]a,a[.],[a]a}", "equal"),
        ("{[!.]*,.[!.]*,..?*}", "*", "equal"),
        ("{[!.]*,.[!.]*}", "*", "within"),
        (".*", "..*", "contains"),
        ("{.[!.]*,..?*}", ".*", "equal"),
    ],
)
def test_relation_knows_that_dots_names_a_node_are_no_names(a: str, b: str, expected: str) -> None:
    """'', '.' and '..' are no names, so nothing has to cover them."""
    found = _relation(a, b)

    assert found == expected
    assert _relation(b, a) == mirrored(found)


def test_relation_of_literal_paths_takes_their_marks_as_they_are() -> None:
    """A route file names itself, and a glob that spells it names something else."""
    literal = parse("app/[id]/page.tsx", literal=True)

    assert relation(literal, parse("app/[id]/page.tsx", literal=True)) is Relation.EQUAL
    assert relation(literal, parse("app/[id]/page.tsx")) is Relation.DISJOINT
    assert relation(parse("app/*/*.tsx"), literal) is Relation.CONTAINS


def test_relation_over_the_cap_is_unknown_both_ways() -> None:
    """A pair with exponentially many subsets is given up, never answered wrongly; apart is still found."""
    wide = parse("{" + ",".join(f"*{'ab'[n % 2]}{'?' * n}" for n in range(12)) + "}")
    narrow = parse("*a*b*a*b*")

    assert relation(wide, narrow, states_max=50) is Relation.UNKNOWN
    assert relation(narrow, wide, states_max=50) is Relation.UNKNOWN
    assert relation(parse("x/*a*"), parse("y/*a*"), states_max=0) is Relation.DISJOINT


# The oracle: sets of paths over a small universe, written from the dialect alone; it knows no automaton.


class Universe(NamedTuple):
    """All paths of up to so many of these names."""

    depth_max: int
    names: tuple[str, ...]


# A shortest path that tells two patterns apart is no longer than both together, so depth follows the segments drawn.
WIDE = Universe(
    4,
    (
        *("".join(letters) for size in (1, 2) for letters in itertools.product("abz", repeat=size)),
        *("aab", "aba", "abb", "baa", "zzz", "zaz", "azb"),
    ),
)
WIDE_SEGMENTS = ["a", "b", "ab", "*", "a*", "*b", "?", "??", "[ab]", "[!a]", "a?", "a*b", "**"]
DEEP = Universe(7, ("a", "b", "z", "aa", "zz"))
DEEP_SEGMENTS = ["a", "b", "*", "a*", "?", "[ab]", "[!a]", "**", "**", "**"]


def _takes(pattern: str, name: str) -> bool:
    if not pattern:
        return not name
    if pattern[0] == "*":
        return any(_takes(pattern[1:], name[at:]) for at in range(len(name) + 1))
    if not name:
        return False
    if pattern[0] == "[":
        members, rest = pattern[1:].split("]", 1)
        takes = name[0] not in members[1:] if members[0] == "!" else name[0] in members
        return takes and _takes(rest, name[1:])
    return pattern[0] in ("?", name[0]) and _takes(pattern[1:], name[1:])


@cache
def _paths(names: tuple[str, ...], depth: int, universe: Universe) -> int:
    """Return the paths of exactly this depth that these segments take, as bits: the first name is the highest digit."""
    if not names:
        return int(depth == 0)
    if names[0] == "**":
        found = _paths(names[1:], depth, universe)
        taken = list(universe.names) if depth else []
        after = _paths(names, depth - 1, universe) if depth else 0
    else:
        found = 0
        taken = [name for name in universe.names if depth and _takes(names[0], name)]
        after = _paths(names[1:], depth - 1, universe) if depth else 0
    size = len(universe.names) ** max(depth - 1, 0)
    for name in taken:
        found |= after << universe.names.index(name) * size
    return found


def _language(text: str, universe: Universe) -> list[int]:
    names = text.split("/")
    is_node_like = not any(mark in names[-1] for mark in "*?[") or names[-1] == "**"
    whole = (*names, "**") if is_node_like else tuple(names)
    return [_paths(whole, depth, universe) for depth in range(universe.depth_max + 1)]


def _brute_covers(wide: str, narrow: str, universe: Universe) -> bool:
    names = [name for name in narrow.split("/") if name]
    while names and names[-1] == "**":
        names.pop()
    if not any(mark in name for name in names for mark in "*?["):
        # The node rule: a plain node counts as one path.
        node = _paths(tuple(names), len(names), universe)
        return bool(_language(wide, universe)[len(names)] & node)
    inner, outer = _language(narrow, universe), _language(wide, universe)
    return all(one & ~other == 0 for one, other in zip(inner, outer, strict=True))


def _brute_relation(a: str, b: str, universe: Universe) -> Relation:
    if not any(one & other for one, other in zip(_language(a, universe), _language(b, universe), strict=True)):
        return Relation.DISJOINT
    verdict = _brute_covers(a, b, universe), _brute_covers(b, a, universe)
    return {
        (True, True): Relation.EQUAL,
        (True, False): Relation.CONTAINS,
        (False, True): Relation.WITHIN,
        (False, False): Relation.PARTIAL,
    }[verdict]


def _texts(segments_max: int) -> list[str]:
    return [
        "/".join(names)
        for size in range(1, segments_max + 1)
        for names in itertools.product(WIDE_SEGMENTS, repeat=size)
    ]


def test_relation_of_every_short_pair_is_that_of_the_sets() -> None:
    """Over all patterns of up to two segments, the answer is that of plain sets of paths."""
    texts = _texts(2)
    patterns = {text: parse(text) for text in texts}
    wrong: list[tuple[str, str, Relation, Relation]] = []

    for a, b in itertools.combinations(texts, 2):
        found = relation(patterns[a], patterns[b])
        expected = _brute_relation(a, b, WIDE)
        if found is not expected or relation(patterns[b], patterns[a]) is not mirrored(found):
            wrong.append((a, b, found, expected))

    assert wrong == []


LONG_TEXTS = st.lists(st.sampled_from(DEEP_SEGMENTS), min_size=1, max_size=3).map("/".join)


@settings(max_examples=400, deadline=None)
@given(a=LONG_TEXTS, b=LONG_TEXTS)
def test_relation_of_longer_pairs_is_that_of_the_sets(a: str, b: str) -> None:
    """The same for patterns of three segments, drawn."""
    assert _relation(a, b) == _brute_relation(a, b, DEEP)


UNIONS = st.lists(LONG_TEXTS, min_size=2, max_size=3).map(lambda texts: "{" + ",".join(texts) + "}")


def _names_a_node(pattern: Pattern) -> bool:
    return any(is_node(alternative) for alternative in pattern.alternatives)


@settings(max_examples=300, deadline=None)
@given(a=UNIONS, b=UNIONS)
def test_relation_of_unions_is_that_of_their_sets(a: str, b: str) -> None:
    """Alternatives together may cover what none of them covers alone."""
    one, other = (text[1:-1].split(",") for text in (a, b))
    languages = [
        list(map(_union, zip(*(_language(text, DEEP) for text in texts), strict=True))) for texts in (one, other)
    ]
    found = _relation(a, b)

    meets = any(x & y for x, y in zip(*languages, strict=True))
    assert (found is Relation.DISJOINT) == (not meets)
    assert _relation(b, a) is mirrored(found)
    if not (_names_a_node(parse(a)) or _names_a_node(parse(b))) and meets:
        wider = all(y & ~x == 0 for x, y in zip(*languages, strict=True))
        narrower = all(x & ~y == 0 for x, y in zip(*languages, strict=True))
        assert (
            found
            is {
                (True, True): Relation.EQUAL,
                (True, False): Relation.CONTAINS,
                (False, True): Relation.WITHIN,
                (False, False): Relation.PARTIAL,
            }[wider, narrower]
        )


def _union(sets: tuple[int, ...]) -> int:
    found = 0
    for one in sets:
        found |= one
    return found


@settings(max_examples=300, deadline=None)
@given(a=UNIONS, b=UNIONS)
def test_relation_is_disjoint_exactly_where_nothing_overlaps(a: str, b: str) -> None:
    """The relation and the example path never disagree."""
    one, other = parse(a), parse(b)

    assert (relation(one, other) is Relation.DISJOINT) == (overlap(one, other) is None)


@mark.parametrize(("universe", "segments"), [(WIDE, WIDE_SEGMENTS), (DEEP, DEEP_SEGMENTS)])
def test_relation_universe_tells_its_segments_apart(universe: Universe, segments: list[str]) -> None:
    """Every two segments differ in some name of the oracle, or it would prove too little."""
    taken = {
        each: frozenset(name for name in universe.names if _takes(each, name)) for each in segments if each != "**"
    }

    assert len(set(taken.values())) == len(taken)
