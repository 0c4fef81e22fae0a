"""`python -m loadtest`: hammer the service, check its promises meanwhile, and report what was seen.

Exit code 0 when nothing was wrong, also where a target is missed: a shared machine must not fail a build. 1 when a promise
was broken or an answer was wrong; then the history is printed. 2 when it was called wrongly or could not start.
"""

import argparse
import sys
from pathlib import Path
from urllib.parse import urlsplit

from loadtest.engine.progress import ProgressBar
from loadtest.engine.run import Plan, run
from loadtest.engine.server import ServerFailed
from loadtest.engine.talk import ClientsFailed
from loadtest.report import model
from loadtest.report.model import Report
from loadtest.scenarios import SCENARIOS

EXAMPLES = """examples:
  python -m loadtest                                  all scenarios, about 15 minutes
  python -m loadtest --quick                          all scenarios, within a minute
  python -m loadtest unique contended --json r.json   two of them, the report as JSON
  python -m loadtest wait --faults                    with kill -9 and restarts
  python -m loadtest unique --url http://127.0.0.1:7338
"""
SEED = 7
INTERRUPTED = 130  # as a shell has it for a program that was ended by Ctrl-C.
LOADED_S_MAX = 120  # seconds of one scenario's slices; with references and preparing they end well within five minutes.


def main(words: list[str] | None = None) -> int:
    """Run what was asked for and return the exit code."""
    plan, json_path = _parsed(words)
    try:
        with ProgressBar(plan.steps * len(plan.scenarios)) as progress:
            report = run(plan, progress)
    except (ServerFailed, ClientsFailed) as failed:
        print(f"loadtest: {failed}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("loadtest: stopped, and nothing is left behind", file=sys.stderr)
        return INTERRUPTED
    json_path.write_bytes(model.encode(report))
    _print_summary(report)
    print(f"\ntook {report.took_s:.0f} s, seed {report.seed}; report: {json_path}")
    return 1 if _print_violations(report) else 0


def _parsed(words: list[str] | None) -> tuple[Plan, Path]:
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
    return plan, options.json or options.directory / "loadtest-report.json"


def _print_summary(report: Report) -> None:
    for scenario in report.scenarios:
        rates = ", ".join(f"{each.per_s:,.0f}/s" for each in scenario.rounds)
        print(f"\n{scenario.name}: {scenario.title}: {rates}")
        for operation in scenario.operations:
            latency = operation.latency_ms
            print(
                f"  {operation.name} ({operation.loop}): {operation.count}, p50 {latency.p50:.2f} ms, p99 {latency.p99:.2f} ms,"
                f" {operation.statuses}"
            )
        for measure in scenario.measures:
            print(f"  {measure.name}: {', '.join(f'{value:.3g}' for value in measure.values)} {measure.unit}")
        for target in scenario.targets:
            print(f"  target {target.name}: {target.value} {target.wanted}: {target.is_met} {target.why}")
        for promise, count in scenario.checked.items():
            print(f"  checked: {promise}: {count} times")


def _print_violations(report: Report) -> bool:
    """Print what was wrong, with its history, to standard error; tell whether anything was."""
    broken = [each for each in report.scenarios if each.violation is not None]
    for scenario in broken:
        assert scenario.violation is not None
        print(f"\n{scenario.name}: BROKEN: {scenario.violation.promise}", file=sys.stderr)
        print(f"  {scenario.violation.explanation}", file=sys.stderr)
        for line in scenario.violation.history:
            print(f"    {line}", file=sys.stderr)
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
