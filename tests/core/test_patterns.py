"""Reading patterns: what is refused, what the normal form is, and that it stays within bounds."""

import random
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from pytest import mark, param, raises

from intermute.core.pattern_syntax import (
    _ORDINARY_PATH,
    PATTERN_ALTERNATIVES_MAX,
    PATTERN_CHARS_MAX,
    PATTERN_EXPANDED_CHARS_MAX,
    PATTERN_SEGMENTS_MAX,
    PATTERN_WILDCARDS_MAX,
    _any_pattern,
    _checked_text,
    _ordinary_path,
)
from intermute.core.patterns import BadPattern, Pattern, matches, overlap, parse


@mark.parametrize(
    ("text", "part_of_reason"),
    [
        ("", "empty"),
        ("/etc/passwd", "absolute"),
        ("C:/src", "absolute"),
        ("c:\\src", "absolute"),
        ("C:", "absolute"),
        ("[C]:/src", "absolute"),
        ("\\\\\\\\server/share", "absolute"),
        ("{/etc,src}", "absolute"),
        ("..", "'..'"),
        ("src/../x", "'..'"),
        ("src/\\../x", "'..'"),
        ("{a,../b}", "'..'"),
        ("a\x00b", "U+0000"),
        ("a\nb", "U+000A"),
        ("a\x7fb", "U+007F"),
        ("a\x85b", "U+0085"),
        ("a\ud800b", "U+D800"),
        ("src/[a", "not closed"),
        ("[]", "not closed"),
        ("[^]", "not closed"),
        ("[a/b]", "not closed"),
        ("[a\\", "not closed"),
        ("[b-a]", "backwards"),
        ("a\\", "backslash"),
        ("a\\/b", "backslash"),
        ("{a,}", "alternative"),
    ],
)
def test_parse_of_a_bad_pattern_says_how_to_mend_it(text: str, part_of_reason: str) -> None:
    """A refused pattern comes back with the reason, and what was given."""
    with raises(BadPattern) as refused:
        parse(text)

    assert part_of_reason in refused.value.reason
    assert refused.value.pattern == text


@mark.parametrize("text", ["", "/a", "C:\\a", "\\\\server\\share", "a/../b", "a\x00", "a" * (PATTERN_CHARS_MAX + 1)])
def test_parse_of_a_bad_literal_is_refused(text: str) -> None:
    """A literal path is held to the same rules as a pattern, wildcards aside."""
    with raises(BadPattern):
        parse(text, literal=True)


def _alternatives(count: int) -> str:
    return "{" + ",".join(f"a{n}" for n in range(count)) + "}"


@mark.parametrize(
    ("fits", "limit"),
    [
        param(lambda n: "a" * n, PATTERN_CHARS_MAX, id="characters"),
        param(lambda n: "/".join("a" * n), PATTERN_SEGMENTS_MAX, id="segments"),
        param(lambda n: "/".join("a" * n) + "/**", PATTERN_SEGMENTS_MAX, id="segments, mark aside"),
        param(lambda n: "?" * n, PATTERN_WILDCARDS_MAX, id="question marks"),
        param(lambda n: "*a" * n, PATTERN_WILDCARDS_MAX, id="stars"),
        param(lambda n: "[ab]" * n, PATTERN_WILDCARDS_MAX, id="classes"),
        param(lambda n: "**/a/" * n, PATTERN_WILDCARDS_MAX, id="double stars"),
        param(_alternatives, PATTERN_ALTERNATIVES_MAX, id="alternatives"),
        param(lambda n: "{a,b,c,d,e,f,g,h}" + "x" * (n // 8 - 1), PATTERN_EXPANDED_CHARS_MAX, id="expanded characters"),
    ],
)
def test_parse_at_a_limit_refuses_the_next(fits, limit: int) -> None:  # type: ignore[no-untyped-def]  # table of lambdas.
    """Each bound lets n-1 and n pass and refuses more."""
    parse(fits(limit - 1))
    parse(fits(limit))

    with raises(BadPattern):
        parse(fits(limit + 8 if limit == PATTERN_EXPANDED_CHARS_MAX else limit + 1))


@mark.parametrize(
    ("spellings", "canonical"),
    [
        (["src", "src/", "src/**", "./src", "src/.", "src//", "src/**/**", "src/**/"], "src"),
        (["**", ".", "./", "**/**", "./**"], "**"),
        (["src/*/", "src/*/.", "src/*/**", "src/***/**/"], "src/*/**"),
        (["src/*.py", "src//*.py", "./src/**.py"], "src/*.py"),
        (["{a,b}", "{b,a}", "{a,b,a/}", "{a/**,b}"], "{a,b}"),
        (["x[ab]", "x[ba]", "x[a-b]", "x[aab]"], "x[ab]"),
        (["[!a]", "[^a]", "[!aa]"], "[^a]"),
        (["{a}", "\\{a\\}"], "\\{a\\}"),
        (["a/[b]"], "a/[b]"),
        (["a/[b]/"], "a/b"),
        (["caf\u00e9", "cafe\u0301"], "caf\u00e9"),
    ],
)
def test_parse_of_equal_spellings_gives_equal_patterns(spellings: list[str], canonical: str) -> None:
    """Spellings of one set of paths are one pattern; each keeps its own text."""
    patterns = [parse(text) for text in spellings]

    assert {pattern.canonical for pattern in patterns} == {canonical}
    assert len(set(patterns)) == 1
    assert [pattern.text for pattern in patterns] == spellings


def test_parse_of_a_canonical_text_gives_the_pattern_back() -> None:
    """The canonical text is itself a pattern, with the same canonical text and meaning."""
    seed = 31
    print(f"seed {seed}")
    draw = random.Random(seed)
    read = 0
    for _ in range(5_000):
        text = "".join(draw.choices("ab*?[]{},!^-\\/.é", k=draw.randint(1, 12)))
        try:
            pattern = parse(text)
        except BadPattern:
            continue
        read += 1

        again = parse(pattern.canonical)

        assert again == pattern, text
        assert again.alternatives == pattern.alternatives, text
    assert read > 500


def test_parse_of_a_literal_takes_no_character_for_special() -> None:
    """A route such as `app/[id]/page.tsx`, given as a path, names itself and nothing else."""
    route = parse("app/[id]/page.tsx", literal=True)

    assert matches(route, "app/[id]/page.tsx")
    assert not matches(route, "app/i/page.tsx")
    assert overlap(route, parse("app/[id]/page.tsx")) is None
    assert overlap(route, parse("app/\\[id\\]/page.tsx")) == "app/[id]/page.tsx"
    assert matches(parse("a\\{b,c}*", literal=True), "a\\{b,c}*/below")


@mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("src/A*.py", "SRC/abc.PY", True),
        ("src/[A-C].py", "src/b.py", True),
        ("src/[a-c].py", "SRC/B.py", True),
        ("src/[!A].py", "src/a.py", False),
        ("src/[!a].py", "src/A.py", False),
        ("STRASSE", "strasse/x", True),
        ("stra\u00dfe", "STRASSE", False),
        ("\u00c9t\u00e9", "\u00e9T\u00c9/x", True),
    ],
)
def test_parse_with_folding_ignores_case(pattern: str, path: str, expected: bool) -> None:
    """A folded pattern takes every case of its letters, one letter for one letter."""
    assert matches(parse(pattern, fold_case=True), path) is expected


def test_parse_of_hostile_text_is_bounded() -> None:
    """Text made to be slow is read or refused; no input of the allowed length hangs the reader."""
    for text in (
        "[" * 1024,
        "{" * 1024,
        "{a," * 341,
        "{,}" * 341,
        "{[,}" * 256,
        "\\" * 1024,
        "*" * 1024,
        "{a,b}" * 204,
    ):
        try:
            parse(text)
        except BadPattern as refused:
            assert refused.reason


def _read(reader: Callable[[], Pattern]) -> object:
    """Return all that a pattern is, or why it is none."""
    try:
        read = reader()
    except BadPattern as refused:
        return refused.reason
    return read.text, read.canonical, read.is_folded, read.alternatives, read.is_plain, read.is_literal


ORDINARY_TEXTS = st.text(
    st.sampled_from("ab.Z0_-/ ,]^!é\u0301\U0001f600~@+=|") | st.characters(exclude_characters="\\*?[{}:"),
    min_size=1,
    max_size=40,
) | st.integers(60, 70).map(lambda count: "/".join("a" * count))


@given(ORDINARY_TEXTS, st.booleans())
def test_parse_of_ordinary_paths_gives_what_reading_each_character_gives(text: str, is_literal: bool) -> None:
    """The short way is only short."""
    try:
        plain = _checked_text(text)
    except BadPattern:
        return
    if _ORDINARY_PATH.fullmatch(plain) is None:
        return
    short = _read(lambda: _ordinary_path(text, plain, is_literal=is_literal))
    assert short == _read(lambda: _any_pattern(text, plain, literal=is_literal, fold_case=False))
