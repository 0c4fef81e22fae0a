"""Poison: requests that bring their project's actor down, and how often one may.

Decided here and nowhere else: two requests are the same if they ask for the same in the name of the same caller, with
whatever key or ticket; one that crashed the actor `limits.POISON_CRASHES_MAX` times is refused until
`limits.POISON_KEPT_S` have passed since. What is remembered is bounded and not stored: a restart of the service, which may
have mended the defect, forgets it. Source: guarantees.md G16.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

import msgspec

from intermute.core import limits
from intermute.core.agents import Caller
from intermute.core.once import NOT_THE_REQUEST


def fingerprint(command: object, caller: Caller) -> bytes:
    """Return what stands for a request: a digest of its operation, its content and the agent that its caller claims to be."""
    assert isinstance(command, msgspec.Struct), "what clients ask is a struct"
    fields = {name: value for name, value in msgspec.structs.asdict(command).items() if name not in NOT_THE_REQUEST}
    # Not as JSON: what brings a handler down may be the very thing that JSON cannot hold.
    text = repr((type(command).__name__, caller.claims, fields))
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).digest()


@dataclass(slots=True)
class _Suspect:
    crashes: int
    last_s: float


class PoisonList:
    """The requests that crashed one project lately, each with how often. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._suspects: OrderedDict[bytes, _Suspect] = OrderedDict()  # The one that crashed last is the last.

    def __len__(self) -> int:
        return len(self._suspects)

    def note_crash(self, request: bytes, now_s: float) -> int:
        """Count one more crash of a request, and return how many there were."""
        self._forget(now_s)
        suspect = self._suspects.setdefault(request, _Suspect(0, now_s))
        suspect.crashes, suspect.last_s = suspect.crashes + 1, now_s
        self._suspects.move_to_end(request)
        if len(self._suspects) > limits.POISON_REMEMBERED_MAX:
            self._suspects.popitem(last=False)
        return suspect.crashes

    def refuses(self, request: bytes, now_s: float) -> bool:
        """Tell whether a request has crashed the actor too often to be tried now."""
        self._forget(now_s)
        suspect = self._suspects.get(request)
        return suspect is not None and suspect.crashes >= limits.POISON_CRASHES_MAX

    def refused(self, now_s: float) -> int:
        """Count the requests that are refused now."""
        self._forget(now_s)
        return sum(suspect.crashes >= limits.POISON_CRASHES_MAX for suspect in self._suspects.values())

    def _forget(self, now_s: float) -> None:
        while self._suspects and now_s - next(iter(self._suspects.values())).last_s >= limits.POISON_KEPT_S:
            self._suspects.popitem(last=False)
