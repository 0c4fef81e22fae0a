"""The pictures of a scenario: latencies, the course of the run, and the rounds beside their references. Pure.

Colours of text and lines are left to the page, which knows whether it is dark. Latency is drawn on a log axis, as steps
between the edges of its bins, and as a share of the requests: loops of different length can be laid over each other.
"""

import html
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, Final

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from loadtest.report.model import Operation, Round, Scenario
from loadtest.report.notation import shortened, told
from loadtest.report.summary import shown_operations

COLOURS: Final = ("#3b7dd8", "#d9622b", "#2e9e6b", "#b85cc9", "#a98600", "#1f98a6", "#c2477f", "#7a7f87")
"""Each at least 3 to 1 against white and against the page's dark ground; told apart by the legend and the dash too."""
_EARLIER: Final = "#8a8f98"
_DASHES: Final = {"open": "solid", "closed": "dash"}
_FAULT: Final = "rgba(217, 60, 43, 0.9)"
_FAULT_SPAN: Final = "rgba(217, 60, 43, 0.15)"
_ROUND_END: Final = "rgba(128, 128, 128, 0.6)"
_LOG: Final = {"type": "log", "exponentformat": "none"}
"""Plain numbers: beside a unit of ms, `10m` would be read as minutes or metres."""


def latency(scenario: Scenario, earlier: Scenario | None = None) -> go.Figure | None:
    """Return the histogram of latencies: a trace an operation and loop; the earlier run's open loops behind them."""
    figure = _figure(height=360)
    colours = _colours(scenario)
    drawn = [each for each in scenario.operations if each.count]
    for then in () if earlier is None else earlier.operations:
        if then.count and any((then.name, then.loop) == (now.name, now.loop) for now in drawn) and then.loop == "open":
            line = {"color": _EARLIER, "dash": "dot", "width": 1.5, "shape": "hv"}
            figure.add_trace(go.Scatter(**_steps(then), name=f"{_label(then)}, earlier run", line=line))
    for operation in drawn:
        line = {"color": colours[operation.name], "dash": _DASHES[operation.loop], "width": 2, "shape": "hv"}
        figure.add_trace(go.Scatter(**_steps(operation), name=_label(operation), line=line))
    figure.update_xaxes(**_LOG, title_text="latency, ms")
    figure.update_yaxes(title_text="share of the requests", tickformat=".0%", rangemode="tozero")
    return figure if drawn else None


def course(scenario: Scenario) -> go.Figure | None:
    """Return the run over load time: requests a second above, p50 and p99 below, with the rounds' ends and the faults."""
    figure = _figure(
        make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.4, 0.6], vertical_spacing=0.06), 460
    )
    colours = _colours(scenario)
    drawn = [each for each in scenario.operations if each.count]
    for operation in drawn:
        line, colour, label = operation.timeline, colours[operation.name], _label(operation)
        middles_s = [(place + 0.5) * line.bin_s for place in range(len(line.counts))]
        # A closed loop that stands beside an open one is in the legend, and drawn on demand: it would be six lines more.
        visible = True if operation in shown_operations(scenario) else "legendonly"
        for row, values, name, dash in (
            (1, [count / line.bin_s for count in line.counts], "rate", _DASHES[operation.loop]),
            (2, line.p50_ms, "p50", "solid"),
            (2, line.p99_ms, "p99", "dot"),
        ):
            shape = {"mode": "lines"} if row == 1 else {"mode": "lines+markers", "marker": {"size": 4}}
            pen = {"color": colour, "dash": dash, "width": 1.5, "shape": "hvh" if row == 1 else "linear"}
            trace = go.Scatter(x=middles_s, y=values, name=f"{label}: {name}", line=pen, visible=visible, **shape)
            figure.add_trace(trace, row=row, col=1)
    _mark_rounds(figure, scenario.rounds)
    _mark_faults(figure, scenario)
    figure.update_yaxes(title_text="requests/s", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title_text="latency, ms", **_LOG, row=2, col=1)
    figure.update_xaxes(title_text="load time, s", row=2, col=1)
    return figure if drawn else None


def rounds(scenario: Scenario) -> go.Figure | None:
    """Return each round's rate beside the references of the same minute."""
    columns: Sequence[tuple[str, Callable[[Round], float]]] = (
        ("this scenario", lambda each: each.per_s),
        ("echo", lambda each: each.echo_per_s),
        ("single durable commits", lambda each: each.commits_per_s),
        ("one commit per request", lambda each: each.one_commit_per_request_per_s),
    )
    figure = _figure(height=300)
    names = [f"round {place}" for place in range(1, len(scenario.rounds) + 1)]
    for (name, value), colour in zip(columns, COLOURS, strict=False):
        # 0 is what was not measured, and has no place on a log axis.
        values = [value(each) or None for each in scenario.rounds]
        if any(values):
            width = 3 if name == "this scenario" else 1.5
            line = {"color": colour, "width": width, "dash": "solid" if width == 3 else "dot"}
            figure.add_trace(go.Scatter(x=names, y=values, name=name, mode="lines+markers", line=line))
    figure.update_xaxes(type="category")
    figure.update_yaxes(**_LOG, title_text="a second")
    return figure if scenario.rounds else None


def as_json(figure: go.Figure) -> dict[str, Any]:  # Any: plotly's own shape, handed to the page as it is.
    """Return what `Plotly.newPlot` takes: data and layout, without the template that plotly adds."""
    plain: dict[str, Any] = figure.to_plotly_json()
    plain["layout"].pop("template", None)
    return {"data": plain["data"], "layout": plain["layout"]}


def _figure(figure: go.Figure | None = None, height: int = 360) -> go.Figure:
    made = go.Figure() if figure is None else figure
    return made.update_layout(
        template="none",
        height=height,
        margin={"l": 64, "r": 16, "t": 24, "b": 48},
        hovermode="closest",
        legend={"orientation": "h", "y": -0.2, "yanchor": "top"},
        showlegend=True,
    )


def _steps(operation: Operation) -> dict[str, Any]:  # Any: arguments of a trace.
    """Return a histogram as steps: each count from its lower edge to its upper one, and down to 0 at both ends."""
    edges_ms, counts = operation.histogram.edges_ms, operation.histogram.counts
    return {
        "x": [edges_ms[0], *edges_ms],
        "y": [0.0, *(count / operation.count for count in counts), 0.0],
        "mode": "lines",
        "customdata": [0, *counts, 0],
        "hovertemplate": "from %{x:.3g} ms: %{customdata:,} (%{y:.1%})",
    }


def _label(operation: Operation) -> str:
    """Return the name in a legend. Plotly reads tags in texts, links too: a text from outside must have none."""
    return f"{_plain(operation.name)} ({operation.loop} loop)"


def _plain(text: str) -> str:
    return html.escape(shortened(text))


def _colours(scenario: Scenario) -> dict[str, str]:
    names = dict.fromkeys(operation.name for operation in scenario.operations)
    return {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(names)}


def _mark_rounds(figure: go.Figure, rounds_: Sequence[Round]) -> None:
    for end_s in list(accumulate(each.seconds for each in rounds_))[:-1]:
        _vertical(figure, end_s, {"color": _ROUND_END, "width": 1, "dash": "dot"})


def _mark_faults(figure: go.Figure, scenario: Scenario) -> None:
    for fault in scenario.faults:
        _vertical(figure, fault.at_s, {"color": _FAULT, "width": 1.5})
        if fault.back_after_s is not None:
            figure.add_shape(
                type="rect",
                xref="x",
                yref="paper",
                x0=fault.at_s,
                x1=fault.at_s + fault.back_after_s,
                y0=0,
                y1=1,
                fillcolor=_FAULT_SPAN,
                line={"width": 0},
            )
        figure.add_annotation(
            x=fault.at_s, xref="x", y=1, yref="paper", yanchor="bottom", text=html.escape(told(fault)), showarrow=False
        )


def _vertical(figure: go.Figure, at_s: float, line: dict[str, Any]) -> None:  # Any: plotly's line.
    figure.add_shape(type="line", xref="x", yref="paper", x0=at_s, x1=at_s, y0=0, y1=1, line=line)
