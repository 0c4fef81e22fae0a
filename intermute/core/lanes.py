"""Sequences of tokens and stars, run side by side against another such sequence.

A star stands for any run of symbols, a token for one symbol out of a set. Both levels of the path dialect have this
shape: a name is characters and `*`, a path is names and `**`. The positions of all sequences of one side are the bits of
one integer, so a step of the other side is a handful of integer operations, whatever the number of sequences.

Invariant: a walk over n tokens against lanes of w bits in all costs n steps on w-bit integers; nothing is searched.
Source: Baeza-Yates and Gonnet 1992 (shift-and), extended by stars and by lanes; decisions/0003-path-dialect.md.
"""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

_SHORT_MAX = 255  # symbols; the longest file name of the file systems in use. A longer run is given as it was found.
Token = TypeVar("Token", bound=Hashable)


class Lanes(ABC, Generic[Token]):
    """Holds sequences laid side by side: one bit per position, one for the end, one guard between neighbours.

    `None` in a sequence is a star; two stars never stand next to each other.
    """

    __slots__ = ("_body", "_guards", "_starts", "ends", "firsts", "places", "sequences", "stars")

    def __init__(self, sequences: Sequence[Sequence[Token | None]]) -> None:
        self.sequences = sequences
        self.firsts: list[int] = []
        self.places: dict[Token, int] = {}
        self.stars = self.ends = self._starts = self._guards = 0
        bit = 1
        for sequence in sequences:
            self.firsts.append(bit.bit_length() - 1)
            self._starts |= bit
            for token in sequence:
                if token is None:
                    self.stars |= bit
                else:
                    self.places[token] = self.places.get(token, 0) | bit
                bit <<= 1
            self.ends |= bit
            self._guards |= bit << 1
            bit <<= 2
        self._body = (bit - 1) & ~self._guards

    @abstractmethod
    def accepting(self, token: Token) -> int:
        """Return the positions whose token shares a symbol with this one."""

    def entry(self) -> int:
        """Return the positions reached before the first symbol."""
        return self._starts | (self._starts & self.stars) << 1

    def step(self, row: int, token: Token) -> int:
        """Return the positions reached from these by a symbol of this token."""
        stars = self.stars
        row = (row & self.accepting(token)) << 1 | row & stars
        return row | (row & stars) << 1

    def spread(self, row: int) -> int:
        """Return the positions reached from these by any run of symbols: all later ones of each lane touched."""
        # Per lane, borrowing the start bit runs up to the lowest position set; an empty lane spends its guard.
        below = ((row | self._guards) - self._starts) ^ row
        return row | self._body & ~below

    def walk(self, tokens: Sequence[Token | None]) -> list[int]:
        """Return the positions reached after each token, the entry first; stops early at none."""
        row = self.entry()
        rows = [row]
        for token in tokens:
            row = self.spread(row) if token is None else self.step(row, token)
            rows.append(row)
            if not row:
                break
        return rows

    def meeting(self, tokens: Sequence[Token | None]) -> int:
        """Return the end positions of the lanes that have something in common with this sequence."""
        rows = self.walk(tokens)
        return rows[-1] & self.ends if len(rows) == len(tokens) + 1 else 0

    def trace(self, tokens: Sequence[Token | None]) -> list[tuple[Token | None, Token | None]] | None:
        """Return a short common run as pairs (token of the sequence, token of a lane), or None where there is none.

        `None` in a pair says that a star took the symbol. Of several lanes that meet it is the first.
        """
        rows = self.walk(tokens)
        ends = rows[-1] & self.ends
        if len(rows) <= len(tokens) or not ends:
            return None
        lane = bisect_right(self.firsts, (ends & -ends).bit_length() - 1) - 1
        one = self._traced(tokens, rows, lane, is_lane_first=True)
        if None not in tokens or None not in self.sequences[lane]:
            return one
        # Every token needs a symbol, so that none may be shorter; and a name longer than any file's need not be.
        least = max(len(side) - side.count(None) for side in (tokens, self.sequences[lane]))
        if len(one) == least or least > _SHORT_MAX:
            return one
        other = self._traced(tokens, rows, lane, is_lane_first=False)
        return one if len(one) <= len(other) else other

    def _traced(
        self, tokens: Sequence[Token | None], rows: list[int], lane: int, *, is_lane_first: bool
    ) -> list[tuple[Token | None, Token | None]]:
        """Go back from the end to the entry through positions that were reached, pairing tokens wherever they can be.

        Where two stars leave a choice, one side goes first; neither choice is always the shorter one.
        """
        first, sequence = self.firsts[lane], self.sequences[lane]
        at, on = len(tokens), len(sequence)
        pairs: list[tuple[Token | None, Token | None]] = []
        while at or on:
            mine = tokens[at - 1] if at else None
            theirs = sequence[on - 1] if on else None
            earlier = rows[at - 1] >> first if at else 0
            if (
                mine is not None
                and theirs is not None
                and earlier >> (on - 1) & 1
                and (mine == theirs or self.accepting(mine) >> (first + on - 1) & 1)
            ):
                pairs.append((mine, theirs))
                at, on = at - 1, on - 1
                continue
            can_go_lane = on > 0 and rows[at] >> (first + on - 1) & 1 and (theirs is None or (at > 0 and mine is None))
            if can_go_lane and not is_lane_first:
                is_starred = on < len(sequence) and sequence[on] is None
                can_go_lane = not (earlier >> on & 1 and (mine is None or is_starred))
            if can_go_lane:
                if theirs is not None:
                    pairs.append((None, theirs))
                on -= 1
            else:
                if mine is not None:
                    pairs.append((mine, None))
                at -= 1
        return pairs[::-1]
