"""The report as one HTML file: it needs no other file, no network, and for its tables no JavaScript.

The policy in its head lets a browser run the two scripts written here, each named by its hash, and connect to nothing: a
text from outside that got past the escaping would stay a text. The figures are JSON in an element that is not run.
"""

import base64
import hashlib
from pathlib import Path
from typing import Any, Final

from plotly.offline import get_plotlyjs

from loadtest.report import charts, scenario_section, sections
from loadtest.report.compare import compare
from loadtest.report.markup import Markup, as_data, element, joined
from loadtest.report.model import Report, Scenario
from loadtest.report.notation import shortened

_BESIDE: Final = Path(__file__)
"""The style and the script are files of their own beside this one."""


def write(path: Path, report: Report, earlier: Report | None = None) -> None:
    """Write the page to a file; beside an earlier run where one is given. Raises: OSError."""
    path.write_bytes(render(report, earlier).encode())


def render(report: Report, earlier: Report | None = None) -> str:
    """Return the page."""
    before = {} if earlier is None else {scenario.name: scenario for scenario in earlier.scenarios}
    drawn: list[dict[str, Any]] = []  # Any: plotly's own shape.
    parts = [
        sections.opening(report),
        sections.targets(report),
        *([] if earlier is None else [sections.comparison(compare(report, earlier))]),
        sections.overview(report),
    ]
    for place, scenario in enumerate(report.scenarios, 1):
        pictures = _pictures(place, scenario, before.get(scenario.name), drawn)
        parts.append(scenario_section.scenario(place, scenario, pictures))
    parts.append(sections.surroundings(report))
    scripts = [get_plotlyjs(), _BESIDE.with_name("page.js").read_text(encoding="utf-8")]
    head = joined(
        (
            element("meta", charset="utf-8"),
            element("meta", http_equiv="Content-Security-Policy", content=_policy(scripts)),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="color-scheme", content="light dark"),
            element("title", sections.title(report)),
            element("style", Markup(_BESIDE.with_name("page.css").read_text(encoding="utf-8"))),
        )
    )
    body = joined(
        (
            element("main", joined(parts)),
            element("script", as_data(drawn), id="charts", type="application/json"),
            *(element("script", _as_script(script)) for script in scripts),
        )
    )
    page = element("html", joined((element("head", head), element("body", body))), lang="en")
    return f"<!DOCTYPE html>\n{page.text}\n"


def _pictures(place: int, scenario: Scenario, before: Scenario | None, drawn: list[dict[str, Any]]) -> list[Markup]:
    """Return the places of a scenario's pictures, and add what is drawn in them."""
    found = (
        ("latency", charts.latency(scenario, before), scenario_section.LATENCY_CAPTION),
        ("course", charts.course(scenario), scenario_section.COURSE_CAPTION),
        ("rounds", charts.rounds(scenario), scenario_section.ROUNDS_CAPTION),
    )
    places = []
    for kind, figure, caption in found:
        if figure is not None:
            name = f"{kind}-{place}"
            drawn.append({"id": name, **charts.as_json(figure)})
            places.append(scenario_section.picture(name, f"{kind} of {shortened(scenario.name)}", caption))
    return places


def _policy(scripts: list[str]) -> str:
    """Return what a browser may do for the page. Plotly sets styles in attributes, and makes pictures to save as `data:`."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(each.encode()).digest()).decode()}'" for each in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _as_script(script: str) -> Markup:
    """Return a script as it is, for its hash is of these bytes; nothing in it may end its element."""
    assert "</script" not in script.lower()
    assert "<!--" not in script
    # A browser reads either as one line feed, and would compute another hash.
    assert "\r" not in script
    return Markup(script)
