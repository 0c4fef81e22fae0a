"""The path dialect: how the text of a pattern is read, normalised and refused.

Decided here and nowhere else: what a pattern may look like and what its normal form is. Invariant: a `Pattern` that
exists is valid, names at least one path, and its canonical text reads back as an equal pattern.
Source: design.md section 7; claims.md section 2; decisions/0003-path-dialect.md.
"""

import re
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from intermute.core.braces import TooManyAlternatives, expanded
from intermute.core.pattern_classes import (
    ANY_CHARACTER,
    Ranges,
    complement,
    folded_character,
    folded_ranges,
    holds,
    ranges_of,
    written,
)

# Bounds, all refused with a reason. The first three are design.md section 7.
PATTERN_CHARS_MAX = 1_024  # characters of the text, before and after normalising: longer than any path in use.
PATTERN_SEGMENTS_MAX = 64  # segments of one alternative: deeper than any tree in use.
PATTERN_WILDCARDS_MAX = 32  # `*`, `?`, `[...]` and `**` of one alternative, counted after normalising.
PATTERN_ALTERNATIVES_MAX = 64  # results of all braces together, before duplicates are dropped.
PATTERN_EXPANDED_CHARS_MAX = 4_096  # characters of all results together: keeps the worst pair near 2 ms (measured).

CharacterToken = str | Ranges
"""One literal character, or the class it is taken from."""

_DRIVE = re.compile(r"[A-Za-z]:(?:[/\\]|$)")
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_ORDINARY = re.compile(r"[^\\*?\[/]+")
_ORDINARY_PATH = re.compile(r"[^/\\*?\[{}:][^\\*?\[{}:]*")
"""A path in which no character is special, relative, and on no drive."""
_ABSOLUTE = "the path is absolute; give it relative to the project root"
_UPWARD = "'..' is not allowed; write the path from the project root without it"
_TOO_DEEP = f"the pattern has more than {PATTERN_SEGMENTS_MAX} segments; name a directory above"
_SPECIAL = "\\*?[{}"


class BadPattern(ValueError):
    """The text is not a pattern of the dialect; `reason` tells how to mend it."""

    def __init__(self, pattern: str, reason: str) -> None:
        super().__init__(f"{reason} (pattern {pattern[:PATTERN_CHARS_MAX]!r})")
        self.pattern = pattern
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Glob:
    """One segment with a wildcard; `None` among its tokens is `*`. Equal where its canonical text is equal."""

    text: str
    tokens: tuple[CharacterToken | None, ...] = field(compare=False, repr=False)
    prefix: str = field(compare=False, repr=False)
    """The literal characters every match begins with."""
    suffix: str = field(compare=False, repr=False)
    """The literal characters every match ends with, prefix aside."""
    is_affix: bool = field(compare=False, repr=False)
    """It is nothing but prefix, one `*`, suffix."""
    is_dotted: bool = field(compare=False, repr=False)
    """Read as plain characters it would take '', '.' or '..', none of which is a name."""


Name = str | Glob
Alternative = tuple[Name | None, ...]
"""The segments of a path; `None` is `**`. A `None` at the end is the node's mark for "and everything below"."""


class Pattern(msgspec.Struct, frozen=True, eq=False):
    """A set of paths. Two patterns are equal where their canonical texts are, however they were spelled."""

    text: str
    """As it was given, for display."""
    canonical: str
    is_folded: bool
    alternatives: tuple[Alternative, ...]
    is_plain: bool
    """It names one node and everything below it, without any wildcard."""
    is_literal: bool = False
    """No character of `text` is special; needed to read it again."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and self.canonical == other.canonical and self.is_folded == other.is_folded

    def __ne__(self, other: object) -> bool:
        return not self == other  # a Struct brings a `!=` of its own, which knows nothing of our `==`.

    def __hash__(self) -> int:
        return hash(self.canonical)


def parse(text: str, *, literal: bool = False, fold_case: bool = False) -> Pattern:
    """Read a pattern; with `literal` a path in which no character is special, with `fold_case` regardless of case.

    Raises: BadPattern, for whatever design.md section 7 refuses.
    """
    plain = _checked_text(text)
    if not fold_case and _ORDINARY_PATH.fullmatch(plain):
        return _ordinary_path(text, plain, is_literal=literal)
    return _any_pattern(text, plain, literal=literal, fold_case=fold_case)


def _any_pattern(text: str, plain: str, *, literal: bool, fold_case: bool) -> Pattern:
    if not literal and "{" in plain:
        try:
            texts = expanded(plain, results_max=PATTERN_ALTERNATIVES_MAX, chars_max=PATTERN_EXPANDED_CHARS_MAX)
        except TooManyAlternatives as refused:
            raise BadPattern(text, f"the braces give {refused}; write several patterns instead") from None
    else:
        texts = [plain]
    found: dict[str, Alternative] = {}
    for one in texts:
        alternative = _Reader(text, one, literal=literal, fold_case=fold_case).read()
        found[_written(alternative)] = alternative
    canonical = sorted(found)
    alternatives = tuple(found[one] for one in canonical)
    is_plain = len(alternatives) == 1 and is_node(alternatives[0])
    whole = canonical[0]
    if len(canonical) > 1:
        whole = "{" + ",".join(one.replace(",", "\\,") for one in canonical) + "}"
    return Pattern(text, text if text == whole else whole, fold_case, alternatives, is_plain, literal)


def _ordinary_path(text: str, plain: str, *, is_literal: bool) -> Pattern:
    """Return what `_any_pattern` returns, in a fifth of the time, for what nearly everyone asks for."""
    names = [sys.intern(name) for name in plain.split("/") if name not in ("", ".")]
    if ".." in names:
        raise BadPattern(text, _UPWARD)
    if len(names) > PATTERN_SEGMENTS_MAX:
        raise BadPattern(text, _TOO_DEEP)
    canonical = "/".join(names) or "**"
    return Pattern(
        text,
        text if text == canonical else canonical,
        is_folded=False,
        alternatives=((*names, None),),
        is_plain=True,
        is_literal=is_literal,
    )


def is_node(alternative: Alternative) -> bool:
    """Tell whether the alternative is one node without wildcards, and everything below it."""
    return alternative[-1] is None and all(isinstance(name, str) for name in alternative[:-1])


def path_names(path: str, *, fold_case: bool) -> tuple[str, ...]:
    """Return the segments of a plain path in the form that patterns are matched against."""
    plain = unicodedata.normalize("NFC", path)
    if fold_case:
        plain = "".join(map(folded_character, plain))
    return tuple(name for name in plain.split("/") if name not in ("", "."))


def literal_names(text: str) -> tuple[str, ...]:
    """Return the segments of a literal path, none for the whole project.

    What `parse` does with `literal`, a hundred times as fast, for whoever reads thousands of paths and needs no pattern.
    Raises: BadPattern.
    """
    plain = _checked_text(text)
    if plain.startswith("/") or _DRIVE.match(plain):
        raise BadPattern(text, _ABSOLUTE)
    names = tuple(name for name in plain.split("/") if name not in ("", "."))
    if ".." in names:
        raise BadPattern(text, _UPWARD)
    if names and (names[0].startswith("\\") or _DRIVE.match(names[0])):
        raise BadPattern(text, _ABSOLUTE)
    if len(names) > PATTERN_SEGMENTS_MAX:
        raise BadPattern(text, _TOO_DEEP)
    return names


def _checked_text(text: str) -> str:
    """Return the text in NFC, or refuse what is wrong with any text."""
    if not text:
        raise BadPattern(text, "the pattern is empty; name a path, or '.' for the whole project")
    plain = unicodedata.normalize("NFC", text) if len(text) <= PATTERN_CHARS_MAX else text
    if len(plain) > PATTERN_CHARS_MAX:
        raise BadPattern(text, f"the pattern is longer than {PATTERN_CHARS_MAX} characters; name a directory above")
    if forbidden := _FORBIDDEN.search(plain):
        raise BadPattern(text, f"the character U+{ord(forbidden[0]):04X} is not allowed in a path; remove it")
    return plain


class _Reader:
    """Reads one alternative from left to right, each character once."""

    def __init__(self, text: str, plain: str, *, literal: bool, fold_case: bool) -> None:
        self._text = text
        self._plain = plain
        self._literal = literal
        self._fold_case = fold_case

    def read(self) -> Alternative:
        plain = self._plain
        if not plain:
            raise self._refused("one alternative of the braces is empty; leave it out")
        if plain.startswith("/") or _DRIVE.match(plain):
            raise self._refused(_ABSOLUTE)
        names: list[Name | None] = []
        at, is_exact = 0, False
        while at <= len(plain):
            tokens, is_wild, is_globstar, at = self._segment(at)
            is_exact = is_wild
            name = None if is_globstar else self._name(tokens)
            if name != "" and not (name is None and names and names[-1] is None):
                names.append(name)
        if not is_exact and (not names or names[-1] is not None):
            names.append(None)
        if isinstance(names[0], str) and (names[0].startswith("\\") or _DRIVE.match(names[0])):
            raise self._refused(_ABSOLUTE)  # A UNC path, or one of the above in disguise, such as `[C]:/x`.
        self._check_size(names)
        return tuple(names)

    def _segment(self, at: int) -> tuple[list[CharacterToken | None], bool, bool, int]:
        """Return the tokens from here to the next slash, whether one is a wildcard, whether it is `**`, and where to go on."""
        plain, start, is_wild = self._plain, at, False
        tokens: list[CharacterToken | None] = []
        while at < len(plain) and plain[at] != "/":
            character = plain[at]
            if not self._literal and character in "*?[":
                is_wild = True
                token, at = (
                    self._class(at + 1) if character == "[" else (ANY_CHARACTER if character == "?" else None, at + 1)
                )
                if token is not None or tokens[-1:] != [None]:
                    tokens.append(token)
                continue
            run = _ORDINARY.match(plain, at)
            if run:
                tokens.extend(map(folded_character, run[0]) if self._fold_case else run[0])
                at = run.end()
                continue
            if character == "\\" and not self._literal:
                at += 1
                if at == len(plain) or plain[at] == "/":
                    raise self._refused("a backslash ends the segment; it escapes the next character, or write '\\\\'")
                character = plain[at]
            tokens.append(folded_character(character) if self._fold_case else character)
            at += 1
        is_globstar = plain[start:at] == "**" and not self._literal
        return tokens, is_wild and not is_globstar, is_globstar, at + 1

    def _name(self, tokens: Sequence[CharacterToken | None]) -> Name:
        """Return the segment; '' where it is to be dropped."""
        if all(isinstance(token, str) for token in tokens):
            name = "".join(token for token in tokens if isinstance(token, str))
            if name == "..":
                raise self._refused(_UPWARD)
            return "" if name == "." else sys.intern(name)
        return glob_of(tuple(tokens))

    def _class(self, at: int) -> tuple[CharacterToken, int]:
        """Return the class that begins here, after its bracket, and where to go on."""
        plain = self._plain
        is_negated = plain[at : at + 1] in ("!", "^")
        first = at = at + is_negated
        pairs: list[tuple[int, int]] = []
        while plain[at : at + 1] != "]" or at == first:
            low, at = self._member(at)
            high = low
            if plain[at : at + 1] == "-" and plain[at + 1 : at + 2] not in ("]", ""):
                high, at = self._member(at + 1)
                if high < low:
                    raise self._refused(f"the range {chr(low)}-{chr(high)} runs backwards; swap its ends")
            pairs.append((low, high))
        ranges = ranges_of(pairs)
        ranges = folded_ranges(ranges) if self._fold_case else ranges
        ranges = complement(ranges) if is_negated else ranges
        if not ranges:
            raise self._refused("a class matches no character; name at least one")
        is_single = len(ranges) == 1 and ranges[0][0] == ranges[0][1]
        return chr(ranges[0][0]) if is_single else ranges, at + 1

    def _member(self, at: int) -> tuple[int, int]:
        plain = self._plain
        if plain[at : at + 1] == "\\":
            at += 1
        if at >= len(plain):
            raise self._refused("a class is not closed; add ']' or escape the '[' as '\\['")
        if plain[at] == "/":
            raise self._refused("a class is not closed before the '/'; add ']' or escape the '[' as '\\['")
        return ord(plain[at]), at + 1

    def _check_size(self, names: Sequence[Name | None]) -> None:
        counted = names[:-1] if names[-1] is None else names
        if len(counted) > PATTERN_SEGMENTS_MAX:
            raise self._refused(_TOO_DEEP)
        if sum(_wildcards(name) for name in counted) > PATTERN_WILDCARDS_MAX:
            raise self._refused(f"the pattern has more than {PATTERN_WILDCARDS_MAX} wildcards; name a directory above")

    def _refused(self, reason: str) -> BadPattern:
        return BadPattern(self._text, reason)


def glob_of(tokens: tuple[CharacterToken | None, ...]) -> Glob:
    """Return the segment made of these tokens."""
    wild = [index for index, token in enumerate(tokens) if not isinstance(token, str)]
    singles = [token for token in tokens if token is not None]
    is_dotted = len(singles) <= 2 and all(
        holds(token, ".") if isinstance(token, tuple) else token.startswith(".") for token in singles
    )
    return Glob(
        text=sys.intern("".join(map(_written_token, tokens))),
        tokens=tokens,
        prefix="".join(map(str, tokens[: wild[0]])),
        suffix="".join(map(str, tokens[wild[-1] + 1 :])),
        is_affix=len(wild) == 1 and tokens[wild[0]] is None,
        is_dotted=is_dotted,
    )


def _wildcards(name: Name | None) -> int:
    if isinstance(name, Glob):
        return sum(not isinstance(token, str) for token in name.tokens)
    return name is None


def _written_token(token: CharacterToken | None) -> str:
    if token is None:
        return "*"
    if isinstance(token, str):
        return "\\" + token if token in _SPECIAL else token
    return written(token)


def _written(alternative: Alternative) -> str:
    """Return the canonical text of one alternative."""
    *names, last = alternative
    if isinstance(last, str):
        # Exactly this path, nothing below: only a class in its last segment says so.
        ending = _written_name(last[:-1]) + written(((ord(last[-1]), ord(last[-1])),))
    elif last is None:
        # A bare node is its own mark; below a wildcard the mark has to be written.
        ending = "" if names and isinstance(names[-1], str) else "**"
    else:
        ending = last.text
    parts = [*map(_written_name, names), ending]
    return "/".join(parts if ending else parts[:-1])


def _written_name(name: Name | None) -> str:
    if isinstance(name, str):
        return "".join(map(_written_token, name)) if any(mark in name for mark in _SPECIAL) else name
    return "**" if name is None else name.text
