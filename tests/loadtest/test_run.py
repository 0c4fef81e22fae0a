"""`python -m loadtest`: what it refuses says what to do, and what it runs leaves a report and nothing else."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.__main__ import main
from loadtest.engine.run import Plan, judged
from loadtest.engine.site import Wanted
from loadtest.engine.talk import AskReferences, Clients, ClientsFailed
from loadtest.report import model


def plan_in(directory: Path) -> Plan:
    """Return the plan of some run."""
    return Plan(
        scenarios=["unique"],
        directory=directory,
        seed=7,
        is_quick=True,
        rounds=1,
        slice_s=1.0,
        echo_s=1.0,
        commits_s=1.0,
        single_s=1.0,
        connections=1,
    )


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (["uniqe"], "there are: unique, "),
        (["--url", "localhost:7338"], "--url takes http://HOST:PORT"),
        (["--url", "http://localhost:7338", "--faults"], "leave --url out"),
        (["--directory", "/nowhere"], "make it first"),
        (["--rounds", "0"], "--rounds has to be more than 0"),
        (["--seconds", "100"], "take fewer or shorter rounds"),
    ],
)
def test_refusal_names_the_remedy(words: list[str], remedy: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is 2, and the last line tells what to write instead."""
    with pytest.raises(SystemExit) as refused:
        main(words)

    assert refused.value.code == 2
    assert remedy in capsys.readouterr().err


def test_url_without_a_service_names_the_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody is at that port: the exit code is 2, and there is no report."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        code = main(["unique", "--url", f"http://127.0.0.1:{taken.getsockname()[1]}", "--directory", str(tmp_path)])

    assert code == 2
    assert "start it first, or leave --url out" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_clients_that_end_are_noticed(tmp_path: Path) -> None:
    """A process that has ended fails the run instead of stopping it for ever."""
    with pytest.raises(ClientsFailed, match="has ended"), Clients() as clients:
        clients.end()
        clients.say(AskReferences())
        clients.hear()


@pytest.mark.parametrize(("values", "is_met"), [([1.0, 3.0, 2.0], True), ([1.0, 3.0, 3.0], False), ([], None)])
def test_target_is_held_against_the_median(values: list[float], is_met: bool | None, tmp_path: Path) -> None:
    """One bad round of three does not miss a target; what was not measured is not judged."""
    measures = [model.Measure(name="cost", unit="x", values=values)] if values else []

    target = judged(Wanted("cost", "<= 2", at_most=2.0), measures, plan_in(tmp_path))

    assert target.is_met is is_met


def test_target_is_not_judged_while_the_service_is_killed(tmp_path: Path) -> None:
    """A rate with a restart in it is no figure."""
    plan = replace(plan_in(tmp_path), has_faults=True)

    target = judged(Wanted("cost", "<= 2", at_most=2.0), [model.Measure(name="cost", unit="x", values=[1.0])], plan)

    assert (target.is_met, target.why) == (None, "the service was killed meanwhile")


def test_quick_run_reports_two_scenarios(tmp_path: Path) -> None:
    """From the processes to the file: rates beside their references, nothing violated, nothing left behind."""
    words = ["unique", "contended", "--quick", "--rounds", "2", "--seconds", "0.3", "--connections", "11"]
    code = main([*words, "--directory", str(tmp_path)])

    report = model.read(tmp_path / "loadtest-report.json")
    assert "unique" in (tmp_path / "loadtest-report.html").read_text(encoding="utf-8")
    assert code == 0
    assert [each.name for each in report.scenarios] == ["unique", "contended"]
    for scenario in report.scenarios:
        assert scenario.violation is None
        assert sum(scenario.checked.values()) > 0
        assert len(scenario.rounds) == 2
        for each in scenario.rounds:
            assert min(each.per_s, each.echo_per_s, each.commits_per_s, each.one_commit_per_request_per_s) > 0
            assert 0 < each.clients_cpu_share <= 1.1
            assert each.server_rss_mb > 0
        assert {operation.loop for operation in scenario.operations} == {"open", "closed"}
        assert all(target.is_met is not None for target in scenario.targets)
    assert {path.name for path in tmp_path.iterdir()} <= {"loadtest-report.json", "loadtest-report.html"}


def test_run_is_held_against_an_earlier_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a run wrote can be named in the next one, which says what was found beside it."""
    words = [
        "contended",
        "--quick",
        "--rounds",
        "1",
        "--seconds",
        "0.3",
        "--connections",
        "11",
        "--directory",
        str(tmp_path),
    ]
    assert main([*words, "--json", str(tmp_path / "before.json")]) == 0
    capsys.readouterr()

    assert main([*words, "--compare", str(tmp_path / "before.json"), "--html", str(tmp_path / "both.html")]) == 0

    assert "outside the noise" in capsys.readouterr().out
    assert "outside the noise" in (tmp_path / "both.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("content", [None, "{}", "no JSON"])
def test_run_beside_what_is_no_report_is_refused_at_once(
    content: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything has been measured, with what to give instead."""
    if content is not None:
        (tmp_path / "before.json").write_text(content, encoding="utf-8")

    with pytest.raises(SystemExit) as ended:
        main(["--directory", str(tmp_path), "--compare", str(tmp_path / "before.json")])

    assert ended.value.code == 2
    assert "before.json" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--json", "no/such/r.json"], ["--html", "no/such/r.html"], ["--json", "."]])
def test_report_that_could_not_be_written_is_refused_at_once(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not after minutes of measuring."""
    with pytest.raises(SystemExit) as ended:
        main(["--directory", str(tmp_path), words[0], str(tmp_path / words[1])])

    assert ended.value.code == 2
    assert "cannot be written" in capsys.readouterr().err


def test_run_on_a_disk_that_filled_up_is_printed_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was measured is in the terminal, and the exit code and a sentence say what is missing."""
    words = ["contended", "--quick", "--rounds", "1", "--seconds", "0.3", "--connections", "11"]

    code = main([*words, "--directory", str(tmp_path), "--json", "/dev/full", "--html", str(tmp_path / "r.html")])

    printed = capsys.readouterr()
    assert code == 2
    assert "contended" in printed.out
    assert "make room" in printed.err


def test_killed_service_keeps_its_promises(tmp_path: Path) -> None:
    """With kill -9 in the slice what was acknowledged is there, what has no answer may be, and the time away is told."""
    words = ["contended", "--quick", "--faults", "--rounds", "1", "--seconds", "0.8", "--connections", "11"]
    code = main([*words, "--directory", str(tmp_path)])

    [scenario] = model.read(tmp_path / "loadtest-report.json").scenarios
    assert (code, scenario.violation) == (0, None)
    assert [fault.what for fault in scenario.faults] == ["kill -9"]
    assert (scenario.faults[0].back_after_s or 0) > 0
    assert all(target.is_met is None for target in scenario.targets)
    assert sum(operation.statuses.get("0", 0) for operation in scenario.operations) > 0
