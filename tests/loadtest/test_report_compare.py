"""A run beside an earlier one: what moved is found, what only wavered is not, and nobody is told of a change of machine as
one of the service."""

import io
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from sample_report import hostile_report, sample_report

from loadtest.report.comparable import figures_of
from loadtest.report.compare import Comparison, Finding, compare, print_comparison
from loadtest.report.model import Measure, Report, Round, Scenario

replace = msgspec.structs.replace
RATES = st.lists(st.floats(min_value=1, max_value=1e6), min_size=2, max_size=5)


@given(RATES)
def test_run_beside_itself_is_within_the_noise(values: list[float]) -> None:
    """Whatever the rounds are, a run has not changed against itself."""
    report = _with_measure(values)

    assert _outside(compare(report, report)) == []


def test_whole_run_beside_itself_has_nothing_to_say() -> None:
    """No figure is outside, no warning is given, nothing is missing, and everything is there."""
    comparison = compare(sample_report(), sample_report())

    assert _outside(comparison) == []
    assert (comparison.warnings, comparison.only_now, comparison.only_earlier) == ([], [], [])
    assert {row.scenario for row in comparison.figures} == {"unique", "contended", "push", "mixed"}
    assert len(comparison.references) == 4


def test_service_twice_as_slow_is_found() -> None:
    """Rates, processor time and medians of all scenarios are worse; memory did not move."""
    findings = _findings(compare(sample_report(slowness=2.0), sample_report()))

    assert findings["unique", "rate"] is Finding.WORSE
    assert findings["contended", "rate"] is Finding.WORSE
    assert findings["mixed", "server CPU a request"] is Finding.WORSE
    assert findings["unique", "reserve, open loop, p50"] is Finding.WORSE
    assert findings["push", "receipt, 1,000 sockets, open loop, p99"] is Finding.WORSE
    assert findings["unique", "server RSS"] is Finding.WITHIN
    assert Finding.BETTER not in findings.values()


def test_service_twice_as_fast_is_better() -> None:
    """The other way round the same figures are better."""
    findings = _findings(compare(sample_report(), sample_report(slowness=2.0)))

    assert findings["unique", "rate"] is Finding.BETTER
    assert findings["unique", "reserve, open loop, p50"] is Finding.BETTER
    assert Finding.WORSE not in findings.values()


@given(RATES, st.sampled_from(["more", "less"]))
def test_figure_twice_as_bad_is_found_where_the_rounds_agree(values: list[float], better: str) -> None:
    """Rounds within 20 % of each other are quiet enough to see a factor of two, in either direction."""
    quiet = [100 + (value % 20) for value in values]
    doubled = [2 * value for value in quiet]

    [row] = compare(_with_measure(doubled, better), _with_measure(quiet, better)).outside

    assert row.finding is (Finding.WORSE if better == "less" else Finding.BETTER)
    assert row.change == pytest.approx(1.0)


@given(RATES, RATES)
def test_verdict_is_the_same_from_both_sides(one: list[float], other: list[float]) -> None:
    """What is worse against the earlier run was better before; what is within the noise is so both ways."""
    forth = compare(_with_measure(one), _with_measure(other)).outside
    back = compare(_with_measure(other), _with_measure(one)).outside

    opposite = {Finding.WORSE: Finding.BETTER, Finding.BETTER: Finding.WORSE}
    assert [row.finding for row in forth] == [opposite[row.finding] for row in back]


@pytest.mark.parametrize(
    ("earlier", "now", "is_outside"),
    [
        ([100.0, 100.0, 100.0], [104.9, 104.9, 104.9], False),  # Below the floor.
        ([100.0, 100.0, 100.0], [105.1, 105.1, 105.1], True),
        ([95.0, 100.0, 105.0], [115.0, 120.0, 125.0], True),  # The spreads of 10 % and 8 % do not reach 20 %.
        ([95.0, 100.0, 105.0], [113.0, 118.0, 123.0], False),
        ([100.0, 100.0, 100.0], [60.0, 120.0, 130.0], False),  # One round far off: the noise is 58 %.
        ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], False),
        ([0.0, 0.0, 0.0], [3.0, 3.0, 3.0], True),  # Where there was nothing, there is something now.
        ([0.0, 0.0, 2.0], [0.0, 3.0, 3.0], False),
    ],
)
def test_noise_is_both_spreads_and_at_least_the_floor(earlier: list[float], now: list[float], is_outside: bool) -> None:
    """The rule at its borders."""
    assert bool(compare(_with_measure(now), _with_measure(earlier)).outside) == is_outside


def test_slower_machine_is_no_finding() -> None:
    """Half the speed in everything, the references too: the ratios stay, and the warning says that it was another machine."""
    comparison = compare(_on_a_slower_machine(sample_report()), sample_report())

    assert _outside(comparison) == []
    assert any(warning.startswith("echo: 12,477 /s then, 6,239 now; ") for warning in comparison.warnings)
    [rate] = [row for row in comparison.figures if (row.scenario, row.name) == ("unique", "rate")]
    assert rate.change == pytest.approx(0)


def test_ratio_is_no_sharper_than_the_echo_is_steady() -> None:
    """Beside a machine half as fast a service twice as slow cannot be told from it, and one five times as slow can."""
    slower_machine = _on_a_slower_machine(sample_report())

    assert _findings(compare(sample_report(slowness=1.9), slower_machine))["unique", "rate"] is Finding.WITHIN
    assert _findings(compare(sample_report(slowness=5.0), slower_machine))["unique", "rate"] is Finding.WORSE


def test_latency_is_no_sharper_than_the_disk_is_steady() -> None:
    """Beside a disk that took twice as long, a latency twice as long may be the disk's, and a rate is as sharp as before."""
    report = sample_report()
    slow_disk = replace(
        report,
        scenarios=[
            replace(each, rounds=[replace(one, commit_ms=one.commit_ms / 2) for one in each.rounds])
            for each in report.scenarios
        ],
    )

    findings = _findings(compare(sample_report(slowness=1.9), slow_disk))

    assert findings["unique", "reserve, open loop, p50"] is Finding.WITHIN
    assert findings["unique", "rate"] is Finding.WORSE


def test_memory_does_not_depend_on_the_echo() -> None:
    """What is no ratio to the echo is as sharp as its rounds are, however fast the machine was."""
    report = sample_report()
    grown = [
        replace(each, rounds=[replace(one, server_rss_mb=90.0) for one in each.rounds]) for each in report.scenarios
    ]

    found = _findings(compare(replace(report, scenarios=grown), _on_a_slower_machine(report)))

    assert found["unique", "server RSS"] is Finding.WORSE


@pytest.mark.parametrize(
    ("unit", "values", "expected"),
    [
        ("/s", [300.0, 150.0], ("x echo", 0.3)),  # The echo makes 1,000 a second in the first round, 500 in the second.
        ("ms", [4.0, 8.0], ("echoes", 4.0)),
        ("us", [4000.0, 8000.0], ("echoes", 4.0)),
        ("s", [1.0, 2.0], ("echoes", 1000.0)),
        ("KiB", [17.0, 19.0], ("KiB", 18.0)),
        ("", [0.25, 0.75], ("", 0.5)),
        ("/s", [300.0], ("/s", 300.0)),  # Which round it is of is not known.
        ("ms", [-1.0, -2.0], ("echoes", -1.0)),
    ],
)
def test_measure_is_a_ratio_where_its_unit_has_a_reference(
    unit: str, values: list[float], expected: tuple[str, float]
) -> None:
    """Rates and times are divided by the echo of their own round; sizes, shares and counts stand as they are."""
    echoes = [Round(seconds=1, requests=1, per_s=1, echo_per_s=echo) for echo in (1000, 500)]
    measure = Measure(name="m", unit=unit, values=values)
    scenario = Scenario(name="s", title="", rounds=echoes, operations=[], measures=[measure])

    [found] = [each for each in figures_of(replace(sample_report(), scenarios=[scenario])) if each.name == "m"]

    assert found.unit == expected[0]
    assert sum(found.values) / len(found.values) == pytest.approx(expected[1])


def test_figure_that_is_neither_good_nor_bad_is_changed() -> None:
    """A measure without a direction is named without a verdict."""
    [row] = compare(_with_measure([5.0, 5.0], "none"), _with_measure([9.0, 9.0], "none")).outside

    assert row.finding is Finding.CHANGED


def test_missing_scenarios_and_figures_are_named() -> None:
    """What only one side has is named, a whole scenario once."""
    report = sample_report()
    unique, contended, push, mixed = report.scenarios
    fewer = replace(report, scenarios=[unique, replace(push, measures=push.measures[:1]), mixed])

    comparison = compare(fewer, replace(report, scenarios=[contended, push, mixed]))

    assert comparison.only_now == ["unique"]
    assert comparison.only_earlier == ["contended", "push, memory of an idle socket (KiB)"]


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        (lambda report: replace(report, seed=8), "seed was 8 and is 7: other paths"),
        (lambda report: replace(report, quick=True), "extent was quick and is full: a quick run"),
        (lambda report: replace(report, machine=replace(report.machine, cores=8)), "number of cores was 8 and is 2: "),
        (lambda report: replace(report, machine=replace(report.machine, cpu="other")), "processor was other and is "),
        (lambda report: replace(report, machine=replace(report.machine, disk="tmpfs")), "disk was tmpfs and is ext4: "),
        (lambda report: replace(report, url="http://h:1"), "service asked was http://h:1 and is its own: "),
        (lambda report: replace(report, options={**report.options, "rounds": 5}), "option rounds was 5 and is 3: "),
        (lambda report: replace(report, options={}), "option connections was not given and is 64: "),
    ],
)
def test_runs_that_differ_in_what_was_asked_are_compared_with_a_warning(
    change: Callable[[Report], Report], warning: str
) -> None:
    """Each difference is said with the reason why figures may differ for it; the figures are compared all the same."""
    comparison = compare(sample_report(), change(sample_report()))

    assert [each for each in comparison.warnings if each.startswith(warning)]
    assert comparison.figures


def test_other_version_of_the_service_is_no_warning() -> None:
    """That is what one compares for."""
    report = sample_report()

    assert compare(report, replace(report, service=replace(report.service, version="0.0.9"))).warnings == []


def test_single_value_is_given_more_noise() -> None:
    """The range of one value is 0, which is no lack of noise: three floors stand in for it."""
    earlier = _with_measure([100.0], rounds=1)

    assert _outside(compare(_with_measure([114.0], rounds=1), earlier)) == []
    assert _outside(compare(_with_measure([116.0], rounds=1), earlier)) == [("s", "m")]
    assert _outside(compare(_with_measure([114.0, 114.0]), earlier)) == []


def test_run_without_an_echo_is_compared_as_measured() -> None:
    """Without a reference the rates stand as they are, and are not laid beside ratios."""
    bare = _without_references(sample_report())

    comparison = compare(_without_references(sample_report(slowness=2.0)), bare)

    [rate] = [row for row in comparison.figures if (row.scenario, row.name) == ("unique", "rate")]
    assert (rate.unit, rate.finding) == ("/s", Finding.WORSE)
    assert "unique, rate (/s)" in compare(bare, sample_report()).only_now


def test_printed_comparison_ends_with_what_is_outside() -> None:
    """The last line counts, and each figure outside the noise stands above it with both values, the change and the noise."""
    lines = _printed(compare(sample_report(slowness=2.0), sample_report())).splitlines()

    worse = [line for line in lines if line.startswith("worse: ")]
    assert lines[-1].endswith(f"outside the noise: 0 better, {len(worse)} worse, 0 changed")
    assert "worse: unique, rate: 0.331 -> 0.165 x echo (-50.0 %, noise 5 %)" in worse
    assert lines[-1 - len(worse) : -1] == worse


def test_printed_comparison_obeys_no_text() -> None:
    """Names of an earlier report come from a file: they clear no screen."""
    assert "\x1b" not in _printed(compare(hostile_report(), sample_report()))
    assert "\x1b" not in _printed(compare(sample_report(), hostile_report()))


def _findings(comparison: Comparison) -> dict[tuple[str, str], Finding]:
    return {(row.scenario, row.name): row.finding for row in comparison.figures}


def _outside(comparison: Comparison) -> list[tuple[str, str]]:
    """Return names alone: pytest takes minutes to lay whole comparisons beside each other."""
    return [(row.scenario, row.name) for row in comparison.outside]


def _with_measure(values: list[float], better: str = "more", rounds: int = 2) -> Report:
    """Return a report of one scenario with one measure."""
    measure = msgspec.convert({"name": "m", "unit": "x", "values": values, "better": better}, Measure)
    plain = [Round(seconds=1, requests=1, per_s=1) for _ in range(rounds)]
    return replace(
        sample_report(), scenarios=[Scenario(name="s", title="", rounds=plain, operations=[], measures=[measure])]
    )


def _on_a_slower_machine(report: Report) -> Report:
    """Return the same run on a machine of half the speed: everything that takes time takes twice as long."""
    return replace(report, scenarios=[_slower(scenario) for scenario in report.scenarios])


def _slower(scenario: Scenario) -> Scenario:
    rounds = [
        replace(
            each,
            per_s=each.per_s / 2,
            echo_per_s=each.echo_per_s / 2,
            commits_per_s=each.commits_per_s / 2,
            commit_ms=each.commit_ms * 2,
            server_cpu_us=each.server_cpu_us * 2,
        )
        for each in scenario.rounds
    ]
    operations = [
        replace(
            each,
            per_round=replace(
                each.per_round,
                p50=[value and value * 2 for value in each.per_round.p50],
                p99=[value and value * 2 for value in each.per_round.p99],
            ),
        )
        for each in scenario.operations
    ]
    measures = [
        replace(each, values=[value * 2 for value in each.values]) if each.unit == "ms" else each
        for each in scenario.measures
    ]
    return replace(scenario, rounds=rounds, operations=operations, measures=measures)


def _without_references(report: Report) -> Report:
    return replace(
        report,
        scenarios=[
            replace(
                scenario, rounds=[Round(seconds=each.seconds, requests=1, per_s=each.per_s) for each in scenario.rounds]
            )
            for scenario in report.scenarios
        ],
    )


def _printed(comparison: Comparison) -> str:
    out = io.StringIO()
    print_comparison(comparison, Console(file=out))
    return out.getvalue()
