"""HTML made of elements: every text is escaped unless it is markup that was made here."""

import html
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from loadtest.report.notation import printable

_VOID: Final = frozenset({"meta", "br", "hr"})


@dataclass(frozen=True, slots=True)
class Markup:
    """HTML as it is sent. Made by `element` and, of text that we wrote ourselves, by hand; never of a text from outside."""

    text: str


Content = Markup | str


def escaped(content: Content) -> str:
    """Return markup as it is, and text with everything escaped that a browser might obey."""
    return content.text if isinstance(content, Markup) else html.escape(printable(content))


def joined(contents: Iterable[Content]) -> Markup:
    """Return contents one after another."""
    return Markup("\n".join(escaped(each) for each in contents))


def element(tag: str, *contents: Content, **attributes: str | None) -> Markup:
    """Return an element. An attribute of None is left out; `class_` is `class`, and `aria_label` is `aria-label`."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escaped(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in _VOID:
        assert not contents
        return Markup(f"<{tag}{written}>")
    return Markup(f"<{tag}{written}>{''.join(escaped(each) for each in contents)}</{tag}>")


def as_data(value: object) -> Markup:
    """Return JSON that cannot end the element it stands in: without `<` there is neither an end tag nor a comment in it.

    Raises:
        ValueError: a number in it is none of JSON's.
    """
    return Markup(json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"))


@dataclass(frozen=True, slots=True)
class Column:
    """The head of a table's column; numbers stand to the right."""

    heading: str
    is_number: bool = True


def table(caption: str, columns: Sequence[Column], rows: Iterable[Sequence[Content]]) -> Markup:
    """Return a table whose first column heads its rows. It scrolls by itself where the screen is narrow."""
    heads = [element("th", each.heading, scope="col", class_=_class(each)) for each in columns]
    lines = [
        element(
            "tr",
            *(
                element("td", cell, class_=_class(column)) if place else element("th", cell, scope="row")
                for place, (column, cell) in enumerate(zip(columns, row, strict=True))
            ),
        )
        for row in rows
    ]
    whole = element(
        "table", element("caption", caption), element("thead", element("tr", *heads)), element("tbody", joined(lines))
    )
    # Focusable, so that a keyboard can scroll it.
    return element("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)


def bullets(items: Iterable[Content]) -> Markup:
    """Return a list of items."""
    return element("ul", joined(element("li", item) for item in items))


def badge(word: str, kind: str) -> Markup:
    """Return a word of outcome; its colour only repeats what it says."""
    return element("span", word, class_=f"badge {kind}")


def _class(column: Column) -> str | None:
    return "number" if column.is_number else None
