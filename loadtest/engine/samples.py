"""What was recorded of each request, round by round; `report.figures` makes the summary of it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from loadtest.report import figures
from loadtest.report.figures import Sample
from loadtest.report.model import Loop, Operation


def quantile(values: Iterable[float], share: float) -> float:
    """Return the value below which this share lies; 0 of nothing."""
    return figures.quantile(sorted(values), share)


@dataclass(slots=True)
class _Series:
    """All samples of one operation in one loop, by round."""

    rounds: dict[int, list[Sample]] = field(default_factory=dict)
    offered_per_s: list[float] = field(default_factory=list)


class Samples:
    """Collects what happened and when. One for each scenario; all rounds go into it."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, Loop], _Series] = {}
        self._round, self._begun_s = 0, 0.0
        self._lengths_s: list[float] = []
        self.recorded = 0

    def begin_round(self, begun_s: float) -> None:
        """Say that what is recorded from now on belongs to the next round."""
        self._round, self._begun_s = len(self._lengths_s), begun_s

    def end_round(self, ended_s: float) -> None:
        """Say that the round is over; the samples of one that never ends do not count."""
        self._lengths_s.append(ended_s - self._begun_s)

    def record(self, operation: str, loop: Loop, intended_s: float, answered_s: float, status: int) -> None:
        """Note one answer. Its latency counts from the time at which the request should have been sent."""
        series = self._series.get((operation, loop))
        if series is None:
            series = self._series[operation, loop] = _Series()
        found = series.rounds.get(self._round)
        if found is None:
            found = series.rounds[self._round] = []
        found.append((intended_s - self._begun_s, (answered_s - intended_s) * 1000, status))
        self.recorded += 1

    def offered(self, operation: str, per_s: float) -> None:
        """Note at which rate an operation was offered in an open loop."""
        self._series.setdefault((operation, "open"), _Series()).offered_per_s.append(per_s)

    def set_apart(self, loop: Loop, statuses: Collection[int], word: str) -> None:
        """Count the answers of the present round with these statuses as operations of their own, named with the word."""
        for (operation, found_loop), series in list(self._series.items()):
            found = series.rounds.get(self._round, [])
            apart = [sample for sample in found if sample[2] in statuses]
            if found_loop == loop and apart and not operation.endswith(f" {word}"):
                series.rounds[self._round] = [sample for sample in found if sample[2] not in statuses]
                other = self._series.setdefault((f"{operation} {word}", loop), _Series())
                other.rounds.setdefault(self._round, []).extend(apart)

    def times_ms(self, operation: str, loop: Loop) -> list[float]:
        """Return the latencies of an operation in the present round."""
        series = self._series.get((operation, loop), _Series())
        return [latency_ms for _, latency_ms, _ in series.rounds.get(self._round, [])]

    def operations(self) -> list[Operation]:
        """Return the summary of all rounds that are over."""
        numbers = range(len(self._lengths_s))
        return [
            figures.operation(
                name,
                loop,
                [series.rounds.get(number, []) for number in numbers],
                self._lengths_s,
                offered_per_s=sum(series.offered_per_s) / len(series.offered_per_s) if series.offered_per_s else None,
            )
            for (name, loop), series in self._series.items()
            if any(number in series.rounds for number in numbers)
        ]
