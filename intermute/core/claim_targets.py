"""What a claim names: paths, and perhaps one symbol in them; and how two such targets lie to each other.

Decided here and nowhere else: how the three spellings are read, and that a target is the product of its paths and its
symbol. Paths and addresses are literal, globs are not: a route file such as `app/[id]/page.tsx` has to mean itself.
Source: claims.md 2 and 3.
"""

from typing import Final

import msgspec

from intermute.core.pattern_syntax import BadPattern, Pattern, parse
from intermute.core.relations import Relation, relation
from intermute.core.symbols import SYMBOL_MARK, BadSymbol, parse_symbol, symbol_relation


class Target(msgspec.Struct, frozen=True, eq=False):
    """Paths and, unless it is the whole of them, one symbol. Equal where the canonical texts are, however spelled."""

    pattern: Pattern
    symbol: str | None = None
    text: str = ""
    """As it was given, for display."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Target) and self.symbol == other.symbol and self.pattern == other.pattern

    def __ne__(self, other: object) -> bool:
        return not self == other  # a Struct brings a `!=` of its own, which knows nothing of our `==`.

    def __hash__(self) -> int:
        return hash((self.pattern, self.symbol))

    @property
    def canonical(self) -> str:
        """The text by which equal targets are known, as a glob or an address."""
        path = self.pattern.canonical
        return path if self.symbol is None else path + SYMBOL_MARK + self.symbol


def parse_path(text: str, *, fold_case: bool = False) -> Target:
    """Read a literal path. Raises: BadPattern."""
    return Target(parse(text, literal=True, fold_case=fold_case), None, text)


def parse_glob(text: str, *, fold_case: bool = False) -> Target:
    """Read a glob, or `glob::symbol`. Raises: BadPattern."""
    return _parsed(text, is_literal=False, fold_case=fold_case)


def parse_address(text: str, *, fold_case: bool = False) -> Target:
    """Read `path::symbol`, or a path alone, in which no character is special. Raises: BadPattern."""
    return _parsed(text, is_literal=True, fold_case=fold_case)


def target_relation(a: Target, b: Target) -> Relation:
    """Tell how one target lies to another; two symbols of one file are disjoint although the file is the same."""
    symbols = symbol_relation(a.symbol, b.symbol)
    if symbols is Relation.DISJOINT:
        return Relation.DISJOINT
    return product(relation(a.pattern, b.pattern), symbols)


def product(paths: Relation, symbols: Relation) -> Relation:
    """Return the relation of two targets whose paths and whose symbols lie to each other like this."""
    if Relation.DISJOINT in (paths, symbols):
        return Relation.DISJOINT
    if paths is Relation.UNKNOWN:
        return Relation.UNKNOWN
    return _PRODUCT[paths, symbols]


_PRODUCT: Final = {
    (Relation.EQUAL, Relation.EQUAL): Relation.EQUAL,
    (Relation.EQUAL, Relation.CONTAINS): Relation.CONTAINS,
    (Relation.EQUAL, Relation.WITHIN): Relation.WITHIN,
    (Relation.CONTAINS, Relation.EQUAL): Relation.CONTAINS,
    (Relation.CONTAINS, Relation.CONTAINS): Relation.CONTAINS,
    (Relation.CONTAINS, Relation.WITHIN): Relation.PARTIAL,
    (Relation.WITHIN, Relation.EQUAL): Relation.WITHIN,
    (Relation.WITHIN, Relation.CONTAINS): Relation.PARTIAL,
    (Relation.WITHIN, Relation.WITHIN): Relation.WITHIN,
    (Relation.PARTIAL, Relation.EQUAL): Relation.PARTIAL,
    (Relation.PARTIAL, Relation.CONTAINS): Relation.PARTIAL,
    (Relation.PARTIAL, Relation.WITHIN): Relation.PARTIAL,
}


def _parsed(text: str, *, is_literal: bool, fold_case: bool) -> Target:
    path, mark, rest = text.partition(SYMBOL_MARK)
    if mark and not path:
        raise BadPattern(text, "the path before '::' is empty; name the file that holds the symbol")
    try:
        return Target(parse(path, literal=is_literal, fold_case=fold_case), parse_symbol(rest) if mark else None, text)
    except BadSymbol as refused:
        raise BadPattern(text, str(refused)) from None
    except BadPattern as refused:
        raise BadPattern(text, refused.reason) from None
