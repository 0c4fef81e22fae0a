"""The page: one file that reaches for nothing, tells the verdict first, obeys no text, and can be read without pictures."""

import base64
import hashlib
import io
import json
import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from page_reader import Page, read_page
from rich.console import Console
from sample_report import HOSTILE, hostile_report, sample_report, with_violation

from loadtest.report import page, table
from loadtest.report.charts import COLOURS
from loadtest.report.compare import compare, print_comparison
from loadtest.report.markup import as_data
from loadtest.report.model import Report

SHOWN_HOSTILE = HOSTILE.replace("\x1b", "\\x1b")
CSS = Path(page.__file__).with_name("page.css").read_text()


@cache
def _text(kind: str) -> str:
    reports: dict[str, tuple[Report, Report | None]] = {
        "plain": (sample_report(), None),
        "broken": (with_violation(sample_report()), None),
        "compared": (sample_report(slowness=2.0), sample_report()),
        "hostile": (hostile_report(), hostile_report()),
    }
    return page.render(*reports[kind])


@cache
def _page(kind: str) -> Page:
    return read_page(_text(kind))


@cache
def _charts(kind: str) -> list[dict[str, Any]]:  # Any: plotly's own shape.
    [data] = [each for each in _page(kind).all("script") if each.attributes.get("id") == "charts"]
    charts: list[dict[str, Any]] = json.loads(data.text)  # Any: as above.
    return charts


KINDS = pytest.mark.parametrize("kind", ["plain", "broken", "compared", "hostile"])


@KINDS
def test_page_is_nested_as_it_should_be(kind: str) -> None:
    """Every element is closed, in order, and no attribute is there twice."""
    assert _page(kind).problems == []
    assert _text(kind).startswith('<!DOCTYPE html>\n<html lang="en">')


@KINDS
def test_page_reaches_for_no_network(kind: str) -> None:
    """No element loads anything, every link stays on the page, and no address is written outside of the library's code."""
    found = _page(kind)
    for each in found.elements:
        assert each.tag not in {"link", "iframe", "img", "object", "embed", "base", "form", "video", "audio", "source"}
        assert not {"src", "srcset", "action", "data", "background", "ping"} & each.attributes.keys()
        assert each.attributes.get("href", "#").startswith("#")
        assert not [name for name in each.attributes if name.startswith("on")]
    ours = re.sub(r"<script>/\*\*\n\* plotly\.js .*?</script>", "", _text(kind), flags=re.DOTALL)
    assert len(ours) < len(_text(kind)) / 5
    assert not re.search(r"https?:|//cdn|\bcdn\b|@import|url\(", ours, flags=re.IGNORECASE)


@KINDS
def test_browser_may_run_the_two_scripts_and_connect_to_nothing(kind: str) -> None:
    """The policy comes before any script, allows nothing by default, and names each script that runs by its hash."""
    found = _page(kind)
    [policy] = [each for each in found.all("meta") if each.attributes.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.attributes["content"].split(";"))
    scripts = [each.text for each in found.all("script") if "type" not in each.attributes]

    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert rules["default-src"] == "'none'"
    assert rules["script-src"].split() == [f"'sha256-{each}'" for each in hashes]
    assert set(rules) == {"default-src", "script-src", "style-src", "img-src", "base-uri", "form-action"}
    assert rules["img-src"] == "data: blob:"
    assert found.elements.index(policy) < found.elements.index(found.all("script")[0])


@KINDS
def test_library_is_embedded_once(kind: str) -> None:
    """However many pictures there are, the page has the library one time, and JSON beside it."""
    assert _text(kind).count("* plotly.js v") == 1
    assert len(_page(kind).all("script")) == 3


def test_texts_from_outside_stay_texts() -> None:
    """Wherever a hostile text is shown it is shown as it is, with the control character spelled out, and makes no element."""
    found = _page("hostile")

    for tag in ("title", "h2", "td", "th", "li", "pre", "p"):
        assert any(SHOWN_HOSTILE in text for text in found.texts(tag)), tag
    assert HOSTILE.partition("\x1b")[0] not in _text("hostile")
    assert "\x1b" not in _text("hostile")
    assert len([each for each in found.elements if each.tag == "script"]) == 3


def test_texts_in_pictures_have_no_tags() -> None:
    """Plotly obeys tags in its texts, links among them: in what it is given they are escaped once more."""
    texts = list(_strings(_charts("hostile")))

    assert [text for text in texts if "&lt;script&gt;" in text]
    assert [text for text in texts if "<" in text] == []


def test_page_has_no_text_of_ours_spelled_out() -> None:
    """What is not from outside is plain: no line feed or space of the page itself is shown as an escape."""
    plain = _page("plain")

    assert [
        each.tag for each in plain.elements if each.tag not in {"script", "body", "html"} and "\\" in each.text
    ] == []
    assert "unique" in plain.texts("th")
    assert "reserve" in plain.texts("th")
    assert (
        plain.all("html")[0].text.replace(plain.texts("body")[0], "").replace(plain.texts("head")[0], "").strip() == ""
    )


def test_data_cannot_end_its_element() -> None:
    """What stands in the page as JSON has no `<`, and is what it was when it is read."""
    hostile = {"a": ["</script><!--<script>", 1.5]}

    written = as_data(hostile).text

    assert "<" not in written
    assert json.loads(written) == hostile
    with pytest.raises(ValueError, match="JSON"):
        as_data(float("nan"))


def test_report_of_no_scenario_is_shown() -> None:
    """A run that ended before its first scenario has a page, a table and a comparison, each with nothing in it."""
    empty = msgspec.structs.replace(sample_report(), scenarios=[])
    out = io.StringIO()

    shown = read_page(page.render(empty, empty))
    table.print_report(empty, Console(file=out))
    print_comparison(compare(empty, empty), Console(file=out))

    assert shown.problems == []
    assert "0 figures beside the run of" in out.getvalue()


def test_verdict_comes_first() -> None:
    """An operator sees the outcome, then the targets, then the scenarios, and the machine last."""
    plain = _page("plain")

    assert [each.text for each in plain.elements if each.attributes.get("class", "").startswith("verdict")] == [
        "passed: no promise was broken; 4 of 6 targets met, 1 missed, 1 not told"
    ]
    headings = ["Targets", "Scenarios", "unique", "contended", "push", "mixed", "Machine and options"]
    assert plain.texts("h2") == headings


def test_broken_promise_stands_before_everything_else() -> None:
    """The history is at the top, line by line, and the scenario names it too."""
    broken = _page("broken")

    assert broken.texts("h2")[:2] == ["Broken in contended: never two holders at once", "Targets"]
    [history] = broken.texts("pre")
    assert history.splitlines()[0] == "1.101 s  agent-12 asks src/api/hot-3.py"
    assert any(text.startswith("BROKEN never two holders at once") for text in broken.texts("p"))
    assert [each.attributes["class"] for each in broken.all("p") if "FAILED: " in each.text] == ["verdict bad"]


@KINDS
def test_tables_can_be_read_aloud(kind: str) -> None:
    """Every table says what it shows, every column and row has a head, and every picture has a description."""
    found = _page(kind)

    assert len(found.all("table")) == len(found.all("caption")) > 3
    assert all(each.attributes.get("scope") in {"row", "col"} for each in found.all("th"))
    assert all(each.attributes["aria-label"] for each in found.elements if each.attributes.get("class") == "chart")
    assert len(found.all("figure")) == len(found.all("figcaption"))
    levels = [int(each.tag[1]) for each in found.elements if re.fullmatch("h[1-6]", each.tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_figures_are_there_without_pictures() -> None:
    """Targets, rates, quantiles of both loops, rounds and statuses stand in tables."""
    cells = _page("plain").texts("td")

    for shown in (
        "0.331",
        "9.11",
        "< 4 x",
        "the disk flushed for 40 ms in round 2",
        "closed",
        "201: 4,800",
        "429: 5, 503: 3",
    ):
        assert shown in cells


@KINDS
def test_every_picture_has_its_place_and_every_link_its_end(kind: str) -> None:
    """Names are given once; the script finds each element it draws in."""
    ids = [each.attributes["id"] for each in _page(kind).elements if "id" in each.attributes]

    assert len(ids) == len(set(ids))
    assert {chart["id"] for chart in _charts(kind)} <= set(ids)
    assert {each.attributes["href"].removeprefix("#") for each in _page(kind).all("a")} <= set(ids)


def test_comparison_is_on_the_page_where_there_is_an_earlier_run() -> None:
    """What is worse stands in a table of its own before the whole; without an earlier run there is no such section."""
    compared = _page("compared")

    assert compared.texts("h2")[:2] == ["Targets", "Beside the earlier run"]
    [whole] = compared.texts("summary")
    assert whole == "All 24 figures"
    outside = [each for each in compared.all("table") if each.text.startswith("Outside the noise")]
    assert "worse" in outside[0].text
    assert "details" not in outside[0].inside
    assert "Beside the earlier run" not in _page("plain").texts("h2")


def test_page_follows_the_readers_light() -> None:
    """The style has a dark ground for those who ask for it, and the script draws again when that changes."""
    [style] = _page("plain").texts("style")
    script = _page("plain").texts("script")[-1]

    assert "@media (prefers-color-scheme: dark)" in style
    assert "prefers-color-scheme: dark" in script
    assert "change" in script


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("ground", re.findall(r"--ground: (#\w{6})", CSS))
def test_lines_can_be_seen_on_both_grounds(colour: str, ground: str) -> None:
    """Contrast of graphics is at least 3 to 1 (WCAG 2.2, 1.4.11)."""
    assert _contrast(colour, ground) >= 3


def test_words_can_be_read_on_both_grounds() -> None:
    """Contrast of text is at least 4.5 to 1 (WCAG 2.2, 1.4.3), on the ground and on what is raised from it."""
    light, dark = CSS.split("@media (prefers-color-scheme: dark)")[:2]
    for scheme in (light, dark):
        colours = dict(re.findall(r"--(\w+): (#\w{6})", scheme))
        for name in ("ink", "quiet", "good", "bad", "unsure"):
            assert min(_contrast(colours[name], colours[ground]) for ground in ("ground", "raised")) >= 4.5, name


def _contrast(one: str, other: str) -> float:
    """Return the contrast of two colours. Source: WCAG 2.2, definitions of contrast ratio and relative luminance."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for each in value.values() for text in _strings(each)]
    return [text for each in value for text in _strings(each)] if isinstance(value, list) else []


def test_page_is_written_as_it_is_rendered(tmp_path: Path) -> None:
    """The file has the bytes whose hashes the policy names."""
    path = tmp_path / "report.html"

    page.write(path, sample_report())

    assert path.read_bytes() == _text("plain").encode()
