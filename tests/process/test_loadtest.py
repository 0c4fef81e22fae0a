"""The benchmark: it measures what it says, notices losses, and leaves nothing behind. No figure is tested for its size."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from loadtest.client import Connection, LoadFailed, Measured, request
from loadtest.figures.report import LINES, missed, table
from loadtest.workloads import demand_listed

ROOT = Path(__file__).parents[2]
TIME_LIMIT_S = 240


@pytest.fixture(scope="module")
def quick_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str, dict[str, Any]]]:
    """Run `python -m loadtest --quick` once; give its directory, its output and its figures."""
    scratch = tmp_path_factory.mktemp("loadtest")
    figures_file = tmp_path_factory.mktemp("figures") / "figures.json"
    done = subprocess.run(
        [sys.executable, "-m", "loadtest", "--quick", "--directory", str(scratch), "--json", str(figures_file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT_S,
        start_new_session=True,
    )
    assert done.returncode == 0, done.stderr
    yield scratch, done.stdout, json.loads(figures_file.read_text())


def test_loadtest_reports_every_figure(quick_run: tuple[Path, str, dict[str, Any]]) -> None:
    """Each line of the table has been measured, and is in the JSON too."""
    _, out, document = quick_run

    assert set(document["figures"]) >= {line.figure for line in LINES}
    assert "durable reservations, group commit" in out
    assert "(target >= 2)" in out
    assert document["figures"]["reservations_kept"] > 0


def test_loadtest_reports_claims_as_a_curve(quick_run: tuple[Path, str, dict[str, Any]]) -> None:
    """Each number of claims has a line of its own, every claim was granted, and requests were granted and refused."""
    _, out, document = quick_run

    figures = document["figures"]
    assert [line.split()[0] for line in out.splitlines() if line.endswith("%")] == ["10", "1,000"]
    assert figures["claims_refused_while_built"] == 0
    assert 0.2 < figures["claims_outcome_granted_1000"] < 0.8
    assert "drawn from real files (stdlib " in out


def test_loadtest_leaves_nothing_behind(quick_run: tuple[Path, str, dict[str, Any]]) -> None:
    """Its directory is empty again."""
    scratch, _, _ = quick_run

    assert list(scratch.iterdir()) == []


def test_lost_reservation_fails_the_run() -> None:
    """A reservation that was acknowledged and is not listed is named."""
    with pytest.raises(LoadFailed, match="1 acknowledged reservations are not listed"):
        demand_listed({"r1": "a.py", "r2": "b.py"}, {"r1": "a.py"}, "after the load")


def test_strange_reservation_fails_the_run() -> None:
    """A reservation that is listed and was never acknowledged is noticed, also where only its path differs."""
    with pytest.raises(LoadFailed, match="1 were never acknowledged"):
        demand_listed({"r1": "a.py"}, {"r1": "b.py"}, "after the load")


def test_target_is_judged_from_its_own_side() -> None:
    """A ceiling is met below it, a floor from it on."""
    assert missed({"idle_rss_mb": 69.9, "ratio_batched_to_single": 2.0}) == []
    assert missed({"idle_rss_mb": 70.0, "ratio_batched_to_single": 1.99}) == ["idle_rss_mb", "ratio_batched_to_single"]
    assert "MISSED" in table({"idle_rss_mb": 70.0})


def test_quantile_of_few_times_is_one_of_them() -> None:
    """The p99 of two answers is the slower one, not an index error."""
    assert Measured(1.0, [2.0, 1.0]).quantile_ms(0.99) == 2.0


async def test_connection_reads_an_answer_in_pieces() -> None:
    """Answers are cut at Content-Length, wherever the network cuts them."""
    ours, theirs = trio.socket.socketpair()
    answer = b"HTTP/1.1 201 \r\nContent-Length: 2\r\n\r\n{}"

    async with trio.open_nursery() as nursery:

        async def drip() -> None:
            for byte in answer + answer:
                await theirs.send(bytes([byte]))

        nursery.start_soon(drip)
        connection = Connection(ours)
        answers = [await connection.call(request(1, "GET", "/")) for _ in range(2)]

    assert answers == [(201, b"{}"), (201, b"{}")]
    ours.close()
    theirs.close()
