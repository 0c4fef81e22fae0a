"""Symbols inside files: how their names are read, and how two of them lie to each other.

A symbol is opaque text, compared by equality and by the prefix `A.`; `import` stands for every `import::x` of the file.
No symbol is the whole file. Two symbols are never partly the same. Source: claims.md 2 and 3.
"""

import re
import unicodedata
from typing import Final

from intermute.core.relations import Relation

SYMBOL_MARK: Final = "::"
SYMBOL_CHARS_MAX: Final = (
    512  # characters; a guess: the longest generated CSS selectors and test names in use are shorter.
)

_FORBIDDEN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
IMPORT: Final = "import"


class BadSymbol(ValueError):
    """The text is no symbol; the message tells how to mend it."""


def parse_symbol(text: str) -> str:
    """Return the symbol in its normal form. Raises: BadSymbol, where it is empty, too long or holds control characters."""
    symbol = unicodedata.normalize("NFC", text) if len(text) <= SYMBOL_CHARS_MAX else text
    if not symbol.strip():
        raise BadSymbol("the symbol after '::' is empty; name one, or leave '::' out for the whole file")
    if len(symbol) > SYMBOL_CHARS_MAX:
        raise BadSymbol(f"the symbol is longer than {SYMBOL_CHARS_MAX} characters; name the one around it")
    if forbidden := _FORBIDDEN.search(symbol):
        raise BadSymbol(f"the character U+{ord(forbidden[0]):04X} is not allowed in a symbol; remove it")
    return symbol


def symbol_relation(a: str | None, b: str | None) -> Relation:
    """Tell how one symbol lies to another in the same file."""
    if a == b:
        return Relation.EQUAL
    if a is None or (b is not None and _holds(a, b)):
        return Relation.CONTAINS
    return Relation.WITHIN if b is None or _holds(b, a) else Relation.DISJOINT


def _holds(outer: str, inner: str) -> bool:
    return inner.startswith(outer + ".") or (outer == IMPORT and inner.startswith(IMPORT + SYMBOL_MARK))
