"""Every acknowledged write is readable afterwards, and nothing is there that nobody wrote.

What was acknowledged has to be listed until its end was asked for; between asking for the end and its acknowledgement
either may be seen. A write of unknown outcome may be listed or not, but if it is, then with the content that was sent.
"""

from collections.abc import Mapping
from typing import Final

from loadtest.promises.history import History, Violation

PROMISE: Final = "every acknowledged write is readable"
SHOWN_MAX: Final = 3  # lost or strange things named in an explanation.


class Durability:
    """What has to be listed at the end: content by key. Contents are texts that only this client can have made."""

    promise = PROMISE

    def __init__(self, history: History, what: str) -> None:
        self._history, self._what = history, what
        self._kept: dict[str, str] = {}
        self._ending: dict[str, str] = {}
        self._ended: set[str] = set()
        self._unknown: set[str] = set()
        self.checked = 0

    def acknowledged(self, at_s: float, who: str, key: str, content: str) -> None:
        """Note that the service said that this is stored."""
        self._history.note(at_s, who, key, f"was told that {content} is stored")
        self._kept[key] = content

    def unknown(self, at_s: float, who: str, content: str) -> None:
        """Note a write of which nobody knows whether it was applied."""
        self._history.note(at_s, who, content, "has no answer")
        self._unknown.add(content)

    def ending(self, at_s: float, who: str, key: str) -> None:
        """Note that the end of it is about to be asked for."""
        self._history.note(at_s, who, key, "asks for its end")
        self._ending[key] = self._kept.pop(key)

    def ended(self, at_s: float, who: str, key: str) -> None:
        """Note that the end was acknowledged."""
        self._history.note(at_s, who, key, "was told that it has ended")
        del self._ending[key]
        self._ended.add(key)

    @property
    def kept(self) -> Mapping[str, str]:
        """What has to be there, by key."""
        return self._kept

    def demand(self, listed: Mapping[str, str], when: str) -> None:
        """Hold what is listed against what was acknowledged. Raises: Violation."""
        self.checked += len(self._kept) + len(self._ended)
        lost = sorted(self._kept.items() - listed.items())
        if lost:
            self._fail(
                f"{when}: {len(lost)} acknowledged {self._what} are not listed as they were stored", lost, listed
            )
        back = sorted((key, listed[key]) for key in self._ended & listed.keys())
        if back:
            self._fail(f"{when}: {len(back)} {self._what} are listed whose end was acknowledged", back, listed)
        strange = sorted(
            (key, content)
            for key, content in listed.items()
            if key not in self._kept and content not in self._unknown and self._ending.get(key) != content
        )
        if strange:
            self._fail(f"{when}: {len(strange)} {self._what} are listed that nobody was told of", strange, listed)

    def _fail(self, text: str, found: list[tuple[str, str]], listed: Mapping[str, str]) -> None:
        shown = found[:SHOWN_MAX]
        lines = self._history.about(*(key for key, _ in shown), *(content for _, content in shown))
        lines += [f"listed: {key} as {listed.get(key, 'nothing')}" for key, _ in shown]
        raise Violation(
            PROMISE, f"{text}; the first are {', '.join(f'{key} ({content})' for key, content in shown)}", lines
        )
