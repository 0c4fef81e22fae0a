"""No change is lost: each version of a thing is one writer's, and what was acknowledged is read as it was acknowledged.

Whoever says which version it replaces is told the next one; if two are told the same version, one has overwritten the
other without knowing. A read that is sent after an acknowledgement shows that version or a later one.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple, NoReturn

from loadtest.promises.history import History, Violation

PROMISE: Final = "no change is lost"


class Version(NamedTuple):
    """How a thing is at one time. Contents are texts that only one change can have made."""

    number: int
    content: str


class Versions:
    """Which versions of which things were acknowledged."""

    promise = PROMISE

    def __init__(self, history: History) -> None:
        self._history = history
        self._contents: dict[str, dict[int, str]] = {}
        self._newest: dict[str, int] = {}
        self._unknown: dict[str, set[str]] = {}
        self._unknown_new: set[str] = set()
        self.checked = 0

    def newest(self, thing: str) -> int:
        """Return the highest version that was acknowledged; 0 of a thing that is not known."""
        return self._newest.get(thing, 0)

    def acknowledged(self, at_s: float, who: str, thing: str, version: Version) -> None:
        """Note that a change was acknowledged as this version. Raises: Violation, where it was another one's."""
        self.checked += 1
        self._history.note(at_s, who, thing, f"was told that version {version.number} is {version.content}")
        known = self._contents.setdefault(thing, {})
        if version.number in known:
            self._fail(
                thing,
                f"{thing} was told to be {version.content} at version {version.number},"
                f" which had been acknowledged as {known[version.number]}",
            )
        known[version.number] = version.content
        self._newest[thing] = max(self.newest(thing), version.number)

    def read(self, at_s: float, who: str, thing: str, version: Version, at_least: int) -> None:
        """Note what was read, and what `newest` was when the request was sent. Raises: Violation."""
        self.checked += 1
        self._history.note(at_s, who, thing, f"read version {version.number}, {version.content}")
        if version.number < at_least:
            self._fail(thing, f"{thing} was read at version {version.number} after {at_least} was acknowledged")
        known = self._contents.get(thing, {}).get(version.number, version.content)
        if known != version.content:
            self._fail(thing, f"{thing} was read as {version.content}, and version {version.number} is {known}")

    def unknown(self, at_s: float, who: str, thing: str | None, content: str) -> None:
        """Note a change of which nobody knows whether it was applied; of a new thing, if None."""
        self._history.note(at_s, who, thing or content, f"has no answer for {content}")
        if thing is None:
            self._unknown_new.add(content)
        else:
            self._unknown.setdefault(thing, set()).add(content)

    def demand(self, listed: Mapping[str, Version]) -> None:
        """Hold everything, as it is listed when no request is under way, against what was told. Raises: Violation."""
        for thing in sorted(self._contents.keys() | listed.keys()):
            self.checked += 1
            self._demand(thing, listed.get(thing))

    def _demand(self, thing: str, found: Version | None) -> None:
        known, newest, unknown = self._contents.get(thing, {}), self.newest(thing), self._unknown.get(thing, set())
        if found is None:
            self._fail(thing, f"{thing} was acknowledged and is not listed")
        if not known:
            if found.content not in self._unknown_new:
                self._fail(thing, f"{thing} is listed as {found.content}, and nobody made it")
            return
        if found.number < newest:
            self._fail(thing, f"{thing} is listed at version {found.number} after {newest} was acknowledged")
        if found.number == newest and found.content != known[newest]:
            self._fail(thing, f"{thing} is listed as {found.content} and was acknowledged as {known[newest]}")
        if found.number > newest and found.content not in unknown:
            self._fail(thing, f"{thing} is listed as {found}, and version {newest} was the last acknowledged one")
        if not unknown and len(known) != newest:
            missing = sorted(set(range(1, newest)) - known.keys())
            self._fail(thing, f"{thing} is at version {newest}, and nobody was told of the versions {missing[:3]}")

    def _fail(self, thing: str, text: str) -> NoReturn:
        raise Violation(PROMISE, text, self._history.about(thing))
