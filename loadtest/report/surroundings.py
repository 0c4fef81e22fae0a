"""What two runs differ in beside the service: each a reason why their figures may differ too. Pure."""

from typing import Final

from loadtest.report.model import Report
from loadtest.report.notation import printable

_NONE: Final = "not given"


def differences(report: Report, earlier: Report) -> list[str]:
    """Return a sentence for each difference between this run's surroundings and the earlier run's."""
    now, then = report.machine, earlier.machine
    found = [
        _sentence("seed", earlier.seed, report.seed, "other paths, orders and arrivals were drawn"),
        _sentence(
            "extent",
            _extent(earlier),
            _extent(report),
            "a quick run has shorter slices and smaller sizes, and its tails are few samples",
        ),
        _sentence(
            "number of cores", then.cores, now.cores, "clients and service share them, and the echo does so otherwise"
        ),
        _sentence("processor", then.cpu, now.cpu, "ratios to the echo allow for its speed only roughly"),
        _sentence("system", then.system, now.system, "the kernel's part of a request may cost more or less"),
        _sentence("disk", then.disk, now.disk, "durable writes wait for it, and the echo does not"),
        _sentence("Python", then.python, now.python, "the interpreter's speed is part of every figure"),
        _sentence("lane", earlier.service.lane, report.service.lane, "requests took another way through the server"),
        _sentence(
            "service asked", earlier.url or "its own", report.url or "its own", "it may hold other data, elsewhere"
        ),
    ]
    for name in sorted(earlier.options.keys() | report.options.keys()):
        values = earlier.options.get(name, _NONE), report.options.get(name, _NONE)
        found.append(_sentence(f"option {name}", *values, "another load was offered, or measured otherwise"))
    return [sentence for sentence in found if sentence is not None]


def _sentence(what: str, then: object, now: object, why: str) -> str | None:
    if then == now:
        return None
    return printable(f"{what} was {then} and is {now}: {why}.")


def _extent(report: Report) -> str:
    return "quick" if report.quick else "full"
