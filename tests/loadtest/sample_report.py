"""A report as a full run might write it, drawn from a fixed seed; and the changes that the tests make to it."""

import random
from collections.abc import Sequence
from functools import cache
from typing import Final

import msgspec

from loadtest.report import figures
from loadtest.report.model import (
    Fault,
    Loop,
    Machine,
    Measure,
    Operation,
    Report,
    Round,
    Scenario,
    Service,
    Target,
    Violation,
)

ROUND_S: Final = [4.0, 4.0, 4.0]
HOSTILE: Final = "<script>alert('</script>')</script>\x1b[2J"
"""A text from outside that must stay a text: on a page, in a terminal, in a picture."""


@cache
def sample_report(*, slowness: float = 1.0, seed: int = 7, quick: bool = False) -> Report:
    """Return a report of four scenarios. `slowness` is that of the service alone: the references stay as they are.

    Made once: it takes a tenth of a second, and nobody changes it in place.
    """
    return Report(
        started_at="2026-05-04T10:00:00Z",
        took_s=612.5,
        seed=seed,
        quick=quick,
        machine=Machine(cores=2, cpu="Example CPU @ 2.60GHz", python="3.12.1", system="Linux 6.1", disk="ext4"),
        service=Service(version="0.1.0", lane="plain"),
        options={"rounds": 3, "seconds": 4.0, "connections": 64, "faults": True},
        scenarios=[_unique(slowness), _contended(slowness), _push(slowness), _mixed(slowness)],
    )


def with_violation(report: Report, *texts: str) -> Report:
    """Return the report of a run that found a promise broken in `contended`; the history has these texts at its end."""
    violation = Violation(
        promise="never two holders at once",
        explanation="src/api/hot-3.py was held by agent-12 and agent-40 from 1.204 s to 1.377 s.",
        history=["1.101 s  agent-12 asks src/api/hot-3.py", "1.204 s  agent-40 is granted src/api/hot-3.py", *texts],
    )
    broken = [
        msgspec.structs.replace(each, violation=violation) if each.name == "contended" else each
        for each in report.scenarios
    ]
    return msgspec.structs.replace(report, scenarios=broken)


def hostile_report() -> Report:
    """Return a report in which every text is hostile."""
    [first, *_] = with_violation(sample_report(), HOSTILE).scenarios[1:]
    assert first.violation is not None
    replace = msgspec.structs.replace
    scenario = replace(
        first,
        name=HOSTILE,
        title=HOSTILE,
        operations=[replace(each, name=HOSTILE, statuses={HOSTILE: 3}) for each in first.operations],
        measures=[Measure(name=HOSTILE, unit=HOSTILE, values=[1.0, 2.0, 3.0])],
        targets=[Target(name=HOSTILE, value=1.0, wanted=HOSTILE, is_met=False, why=HOSTILE)],
        checked={HOSTILE: 3},
        faults=[Fault(at_s=1.0, what=HOSTILE, back_after_s=0.5)],
        violation=Violation(promise=HOSTILE, explanation=HOSTILE, history=[HOSTILE]),
    )
    return replace(
        sample_report(),
        started_at=HOSTILE,
        url=HOSTILE,
        machine=Machine(cores=2, cpu=HOSTILE, python=HOSTILE, system=HOSTILE, disk=HOSTILE),
        service=Service(version=HOSTILE, lane=HOSTILE),
        options={HOSTILE: HOSTILE},
        scenarios=[scenario],
    )


def _unique(slowness: float) -> Scenario:
    chance = random.Random("unique")
    return Scenario(
        name="unique",
        title="durable reservations that never conflict",
        rounds=_rounds(chance, 4_100 / slowness, cpu_us=210 * slowness, rss_mb=61.0),
        operations=[
            _operation(chance, "reserve", "closed", 1_600, 14.0 * slowness, 201),
            _operation(chance, "reserve", "open", 1_000, 2.6 * slowness, 201, offered_per_s=2_460 / slowness),
        ],
        measures=[
            Measure(name="one connection, p50 over one commit", unit="ms", values=[0.31, 0.33, 0.29], better="less")
        ],
        targets=[
            Target(
                name="share of the echo", value=0.33 / slowness, wanted=">= 0.30 of the echo", is_met=slowness <= 1.1
            ),
            Target(name="times one commit per request", value=9.1 / slowness, wanted=">= 8 x", is_met=slowness <= 1.1),
            Target(
                name="p99 over p50",
                value=5.2,
                wanted="< 4 x",
                is_met=False,
                why="the disk flushed for 40 ms in round 2",
            ),
        ],
        checked={"reservations granted": 49_210, "listed again": 49_210},
    )


def _contended(slowness: float) -> Scenario:
    chance = random.Random("contended")
    asked = _operation(chance, "reserve", "open", 1_200, 1.9 * slowness, 409, offered_per_s=3_400 / slowness)
    return Scenario(
        name="contended",
        title="many agents, few hot paths, 90 % conflict",
        rounds=_rounds(chance, 5_700 / slowness, cpu_us=160 * slowness, rss_mb=63.5),
        operations=[
            msgspec.structs.replace(asked, statuses={"201": asked.count // 10, "409": asked.count - asked.count // 10}),
            _operation(chance, "reserve", "closed", 1_600, 10.5 * slowness, 409),
            _operation(chance, "release", "open", 150, 2.4 * slowness, 200, offered_per_s=340 / slowness),
        ],
        targets=[Target(name="refusals, share of the echo", value=0.52, wanted=">= 0.50 of the echo", is_met=True)],
        checked={"grants": 1_204, "overlaps looked for": 60_210},
    )


def _push(slowness: float) -> Scenario:
    """No rate of its own, and a target that this machine could not tell."""
    chance = random.Random("push")
    return Scenario(
        name="push",
        title="commit to receipt on 1, 100 and 1,000 sockets",
        rounds=_rounds(chance, 20, cpu_us=0, rss_mb=84.0),
        operations=[_operation(chance, "receipt, 1,000 sockets", "open", 700, 22.0 * slowness, 200, offered_per_s=20)],
        measures=[
            Measure(name="last receipt, p99", unit="ms", values=[41.0, 44.5, 43.0], better="less"),
            Measure(name="memory of an idle socket", unit="KiB", values=[17.2, 17.2, 17.3], better="less"),
        ],
        targets=[
            Target(name="last receipt, p99", value=43.0, wanted="< 60 ms", is_met=True),
            Target(
                name="memory of an idle socket",
                value=0.0,
                wanted="< 24 KiB",
                is_met=None,
                why="no /proc on this system",
            ),
        ],
        checked={"events received once, in order": 61_000},
    )


def _mixed(slowness: float) -> Scenario:
    """A scenario with faults: the service is killed in the second round, and requests wait until it is back."""
    chance = random.Random("mixed")
    rounds = [_samples(chance, 500, 2.1 * slowness, 200) for _ in ROUND_S]
    rounds[1] = [
        (at_s, ms + max(0.0, 1.7 - at_s) * 1_000 if at_s >= 1.2 else ms, status) for at_s, ms, status in rounds[1]
    ]
    checks = figures.operation("check", "open", rounds, ROUND_S, offered_per_s=1_500.0)
    posts = _operation(chance, "send message", "open", 300, 3.3 * slowness, 201, offered_per_s=300)
    return Scenario(
        name="mixed",
        title="a realistic day of 200 agents",
        rounds=_rounds(chance, 2_900 / slowness, cpu_us=240 * slowness, rss_mb=70.0),
        operations=[
            checks,
            msgspec.structs.replace(posts, statuses={"201": posts.count - 8, "429": 5, "503": 3}),
        ],
        checked={"writes found again": 8_800},
        faults=[Fault(at_s=figures.load_time_s(ROUND_S, 1, 1.2), what="kill -9", back_after_s=0.5)],
    )


def _rounds(chance: random.Random, per_s: float, *, cpu_us: float, rss_mb: float) -> list[Round]:
    """Return rounds of one machine whose speed differs from round to round, as the references see too."""
    rounds = []
    for seconds in ROUND_S:
        speed = chance.uniform(0.94, 1.06)
        rate = per_s * speed * chance.uniform(0.99, 1.01)
        rounds.append(
            Round(
                seconds=seconds,
                requests=round(rate * seconds),
                per_s=rate,
                echo_per_s=12_400 * speed,
                commits_per_s=980 * speed,
                commit_ms=1.02 / speed,
                one_commit_per_request_per_s=450 * speed,
                server_cpu_us=cpu_us / speed,
                server_rss_mb=rss_mb,
                clients_cpu_share=0.61,
            )
        )
    return rounds


def _operation(
    chance: random.Random,
    name: str,
    loop: Loop,
    count: int,
    median_ms: float,
    status: int,
    *,
    offered_per_s: float | None = None,
) -> Operation:
    rounds = [_samples(chance, count, median_ms, status) for _ in ROUND_S]
    return figures.operation(name, loop, rounds, ROUND_S, offered_per_s=offered_per_s)


def _samples(chance: random.Random, count: int, median_ms: float, status: int) -> Sequence[figures.Sample]:
    """Return latencies of a log-normal body and a few long ones, as a disk's flush makes them."""
    return [
        (
            chance.uniform(0, ROUND_S[0]),
            median_ms * chance.lognormvariate(0, 0.3) * (4 if chance.random() < 0.015 else 1),
            status,
        )
        for _ in range(count)
    ]
