"""What the command line asks for; a wrong word is refused with what to write instead."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from loadtest.engine.run import Plan
from loadtest.report import model
from loadtest.report.model import Report
from loadtest.scenarios import SCENARIOS

EXAMPLES = """examples:
  python -m loadtest                                  all scenarios, about 8 minutes
  python -m loadtest --quick                          all scenarios, within a minute
  python -m loadtest unique contended --json r.json   two of them, the report as JSON
  python -m loadtest --compare before.json            what is other than in an earlier run
  python -m loadtest wait --faults                    with kill -9 and restarts
  python -m loadtest unique --url http://127.0.0.1:7338
"""
SEED = 7
LOADED_S_MAX = 120  # seconds of one scenario's slices; with references and preparing they end well within five minutes.


@dataclass(frozen=True, slots=True)
class Options:
    """What to run, where the report goes, and what it is held against."""

    plan: Plan
    json_path: Path
    html_path: Path
    earlier: Report | None


def options_of(words: list[str] | None) -> Options:
    """Return what these words ask for, those of the process by default; ends the process where they are wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest",
        description="Hammer the service, check its promises meanwhile, and report what was seen.",
        epilog=f"scenarios: {', '.join(SCENARIOS)}\n\n{EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="what to run (default: all)")
    parser.add_argument("--quick", action="store_true", help="short slices and small tables")
    parser.add_argument("--faults", action="store_true", help="kill -9 the service in every slice and start it again")
    parser.add_argument("--url", help="load this service instead of one of our own, such as http://127.0.0.1:7338")
    parser.add_argument("--seed", type=int, default=SEED, help=f"of everything that is drawn (default: {SEED})")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds of each scenario (default: 3; quick: 2)")
    parser.add_argument("--seconds", type=float, metavar="S", help="of one measured slice (default: 4; quick: 0.6)")
    parser.add_argument("--connections", type=int, default=64, metavar="N", help="of a closed loop (default: 64)")
    parser.add_argument("--lane", choices=("fast", "quart"), default="fast", help="of the service (default: fast)")
    parser.add_argument("--directory", type=Path, default=Path.cwd(), help="for data and reports (default: here)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the report (default: loadtest-report.json there)")
    parser.add_argument("--html", type=Path, metavar="FILE", help="the page (default: beside the report)")
    parser.add_argument(
        "--compare", type=Path, metavar="REPORT", help="the JSON of an earlier run to hold this one against"
    )
    options = parser.parse_args(words)
    if unknown := [name for name in options.scenarios if name not in SCENARIOS]:
        parser.error(f"no scenario is called {', '.join(unknown)}; there are: {', '.join(SCENARIOS)}")
    if options.url and (urlsplit(options.url).scheme != "http" or not urlsplit(options.url).hostname):
        parser.error(f"--url takes http://HOST:PORT, not {options.url!r}")
    if options.url and options.faults:
        parser.error("--faults kills the service, so it needs one of our own: leave --url out")
    if not options.directory.is_dir():
        parser.error(f"--directory {options.directory} is not there: make it first")
    for name in ("rounds", "seconds", "connections"):
        if getattr(options, name) is not None and getattr(options, name) <= 0:
            parser.error(f"--{name} has to be more than 0")
    if (options.rounds or 3) * (options.seconds or 4.0) > LOADED_S_MAX:
        parser.error(
            f"rounds times seconds are more than {LOADED_S_MAX}: agents that hold something would count as gone after five "
            "silent minutes; take fewer or shorter rounds"
        )
    plan = Plan(
        scenarios=[name for name in SCENARIOS if name in (options.scenarios or SCENARIOS)],
        directory=options.directory,
        seed=options.seed,
        is_quick=options.quick,
        rounds=options.rounds or (2 if options.quick else 3),
        slice_s=options.seconds or (0.6 if options.quick else 4.0),
        echo_s=0.2 if options.quick else 1.0,
        commits_s=0.1 if options.quick else 0.5,
        single_s=0.2 if options.quick else 1.0,
        connections=options.connections,
        has_faults=options.faults,
        url=options.url,
        lane=options.lane,
    )
    json_path = options.json or options.directory / "loadtest-report.json"
    html_path = options.html or json_path.with_suffix(".html")
    for path in (json_path, html_path):
        if not path.parent.is_dir() or path.is_dir():
            parser.error(f"{path} cannot be written: name a file in a directory that is there")
    try:
        earlier = None if options.compare is None else model.read(options.compare)
    except model.ReportRefused as refused:
        parser.error(f"--compare: {refused}")
    return Options(plan, json_path, html_path, earlier)
