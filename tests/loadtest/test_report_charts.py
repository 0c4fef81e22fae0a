"""The pictures: each loop a trace, nothing lost on the way to the axes, faults where they happened."""

from typing import Any

import msgspec
import plotly.graph_objects as go
import pytest
from sample_report import ROUND_S, sample_report

from loadtest.report import charts
from loadtest.report.model import Round, Scenario

UNIQUE, CONTENDED, PUSH, MIXED = sample_report().scenarios


def test_latency_has_a_trace_an_operation_and_loop() -> None:
    """Open and closed loops are told apart by name and dash, on a log axis."""
    figure = _drawn(charts.latency(UNIQUE))

    assert [trace["name"] for trace in figure["data"]] == ["reserve (closed loop)", "reserve (open loop)"]
    assert [trace["line"]["dash"] for trace in figure["data"]] == ["dash", "solid"]
    assert figure["layout"]["xaxis"]["type"] == "log"


@pytest.mark.parametrize("scenario", [UNIQUE, CONTENDED, PUSH, MIXED])
def test_latency_shows_every_request(scenario: Scenario) -> None:
    """The shares of a trace add up to one, its counts to the requests, and its steps go down to 0 at both ends."""
    for trace, operation in zip(_drawn(charts.latency(scenario))["data"], scenario.operations, strict=True):
        assert sum(trace["y"]) == pytest.approx(1)
        assert sum(trace["customdata"]) == operation.count
        assert trace["y"][0] == trace["y"][-1] == 0
        assert len(trace["x"]) == len(trace["y"]) == len(trace["customdata"])
        assert trace["x"][1:] == operation.histogram.edges_ms


def test_latency_of_an_earlier_run_lies_behind() -> None:
    """Its open loops come first, and are named as of the earlier run; an operation that is not there now is left out."""
    earlier = msgspec.structs.replace(CONTENDED, operations=[*CONTENDED.operations, *PUSH.operations])

    names = [trace["name"] for trace in _drawn(charts.latency(CONTENDED, earlier))["data"]]

    assert names[:2] == ["reserve (open loop), earlier run", "release (open loop), earlier run"]
    assert names[2:] == ["reserve (open loop)", "reserve (closed loop)", "release (open loop)"]


def test_course_has_rate_and_quantiles_of_the_run() -> None:
    """Rates are requests a second, whatever the length of a bin; a bin without a request is a gap, not a fast answer."""
    figure = _drawn(charts.course(MIXED))

    rate, p50, p99 = figure["data"][:3]
    line = MIXED.operations[0].timeline
    assert [rate["name"], p50["name"], p99["name"]] == [f"check (open loop): {each}" for each in ("rate", "p50", "p99")]
    assert sum(rate["y"]) * line.bin_s == pytest.approx(MIXED.operations[0].count)
    assert (p50["y"], p99["y"]) == (line.p50_ms, line.p99_ms)
    assert figure["layout"]["yaxis2"]["type"] == "log"


def test_closed_loop_beside_an_open_one_is_drawn_on_demand() -> None:
    """The course shows one loop of an operation, and has the other in its legend."""
    shown = {trace["name"]: trace["visible"] for trace in _drawn(charts.course(UNIQUE))["data"]}

    assert shown["reserve (open loop): p99"] is True
    assert shown["reserve (closed loop): p99"] == "legendonly"


def test_course_marks_faults_and_the_ends_of_rounds() -> None:
    """A fault has a line at its time, a span until the service was back, and its name; rounds end where they ended."""
    layout = _drawn(charts.course(MIXED))["layout"]

    lines = sorted(shape["x0"] for shape in layout["shapes"] if shape["type"] == "line")
    [span] = [shape for shape in layout["shapes"] if shape["type"] == "rect"]
    assert lines == [4.0, 5.2, 8.0]
    assert (span["x0"], span["x1"]) == (5.2, 5.7)
    assert [each["text"] for each in layout["annotations"]] == ["kill -9 at 5.2 s, back after 0.5 s"]


def test_rounds_stand_beside_their_references() -> None:
    """Each of the three references has a line; one that was not measured has none, for 0 has no place on a log axis."""
    only_echo = [Round(seconds=1, requests=5, per_s=5, echo_per_s=9), Round(seconds=1, requests=5, per_s=5)]
    bare = msgspec.structs.replace(UNIQUE, rounds=only_echo, operations=[])

    whole = _drawn(charts.rounds(UNIQUE))["data"]

    assert [len(trace["x"]) for trace in whole] == [len(ROUND_S)] * 4
    found = {trace["name"]: trace["y"] for trace in _drawn(charts.rounds(bare))["data"]}
    assert found == {"this scenario": [5, 5], "echo": [9, None]}


def test_scenario_without_requests_has_no_pictures_of_them() -> None:
    """Nothing is drawn where nothing was seen."""
    empty = Scenario(name="e", title="", rounds=[], operations=[])

    assert [charts.latency(empty), charts.course(empty), charts.rounds(empty)] == [None, None, None]


def _drawn(figure: go.Figure | None) -> dict[str, Any]:  # Any: plotly's own shape.
    assert figure is not None
    drawn = charts.as_json(figure)
    assert "template" not in drawn["layout"]
    return drawn
