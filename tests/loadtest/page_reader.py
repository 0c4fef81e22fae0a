"""Reads a page as a browser's parser does: its elements, its texts, and what is not closed."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final

_VOID: Final = frozenset({"meta", "br", "hr", "img", "input", "link", "base"})


@dataclass
class Element:
    """One element, with the text that is directly or deeper in it."""

    tag: str
    attributes: dict[str, str]
    text: str = ""
    inside: tuple[str, ...] = ()
    """The tags around it, the outermost first."""


@dataclass
class Page:
    """The elements of a page in order, and what was wrong with their nesting."""

    elements: list[Element] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def all(self, tag: str) -> list[Element]:
        """Return the elements of a tag."""
        return [each for each in self.elements if each.tag == tag]

    def texts(self, tag: str) -> list[str]:
        """Return the texts of the elements of a tag."""
        return [each.text for each in self.all(tag)]


def read_page(text: str) -> Page:
    """Return the page."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    reader.page.problems += [f"{each.tag} is not closed" for each in reader.open]
    return reader.page


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page = Page()
        self.open: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = Element(tag, {name: value or "" for name, value in attrs}, inside=tuple(each.tag for each in self.open))
        if len(found.attributes) != len(attrs):
            self.page.problems.append(f"{tag} has an attribute twice")
        self.page.elements.append(found)
        if tag not in _VOID:
            self.open.append(found)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1].tag != tag:
            self.page.problems.append(f"{tag} ends where {self.open[-1].tag if self.open else 'nothing'} is open")
        else:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        for each in self.open:
            each.text += data
