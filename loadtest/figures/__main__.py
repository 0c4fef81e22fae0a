"""`python -m loadtest.figures`: single figures, one after the other. Loopback only, bounded in time, leaves nothing behind.

Exit code 0 when it has measured, also where a target is missed: a shared machine must not fail a build. 1 when the
service answered wrongly or lost anything.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import trio

from loadtest.engine.connection import LoadFailed
from loadtest.engine.references import echo_server
from loadtest.engine.server import ServerFailed
from loadtest.figures.durability import Plan, durability_figures
from loadtest.figures.entities import entity_figures
from loadtest.figures.event_reader import event_reader_figures
from loadtest.figures.flat import FEW, flat_figures
from loadtest.figures.in_process import claims_figures, isolation_figures, lock_table_figures
from loadtest.figures.load import Echo, load
from loadtest.figures.mail import mail_figures
from loadtest.figures.report import claims_curve, claims_source, missed, table, write_json
from loadtest.figures.start import start_figures

FULL = Plan(connections=64, rounds=2, seconds=5.0, reference_s=1.5)
QUICK = Plan(connections=64, rounds=2, seconds=0.8, reference_s=0.3)
FULL_ENTRIES, QUICK_ENTRIES = 100_000, 1_000
FULL_FOLLOWED, QUICK_FOLLOWED = 64, 16
"""Agents whose releases are followed; 180 events each."""


def main() -> int:
    """Measure, print and return the exit code."""
    options = _parsed()
    plan = QUICK if options.quick else FULL
    started_s = time.monotonic()
    try:
        # Not in the system's temporary directory, which is often in memory: there a commit costs nothing.
        with tempfile.TemporaryDirectory(prefix=".loadtest-", dir=options.directory) as scratch:
            figures = measure(Path(scratch), plan, starts=3 if options.quick else 5)
            entries = QUICK_ENTRIES if options.quick else FULL_ENTRIES
            _say(f"entities, lists out of {entries} tasks")
            figures |= entity_figures(Path(scratch) / "entities", plan.connections, plan.seconds, entries)
            _say("the client's events")
            figures |= event_reader_figures(
                Path(scratch) / "events", QUICK_FOLLOWED if options.quick else FULL_FOLLOWED
            )
            _say(f"messages, a search among {entries}")
            figures |= mail_figures(Path(scratch) / "mail", plan.connections, plan.seconds, entries, options.seed)
            _say(f"requests among {entries} messages, and among a thousand")
            figures |= flat_figures(
                Path(scratch) / "flat", plan.connections, 3 * plan.seconds, max(entries, 2 * FEW), options.seed
            )
        _say("nineteen projects, and one in trouble")
        figures |= isolation_figures(options.directory, is_quick=options.quick)
        _say(f"lock table with {entries} entries")
        figures |= lock_table_figures(entries, options.seed)
        _say(f"deciding among up to {entries} claims")
        figures |= claims_figures(entries, options.seed, is_quick=options.quick)
    except (LoadFailed, ServerFailed) as failed:
        print(f"loadtest: {failed}", file=sys.stderr)
        return 1
    figures["took_s"] = time.monotonic() - started_s
    print(table(figures))
    if "claims_held" in figures:
        print(f"\n{claims_curve(figures)}\n{claims_source(figures)}")
    print(f"\ntook {figures['took_s']:.0f} s, {plan.connections} connections, seed {options.seed}")
    if late := missed(figures):
        print(f"missed: {', '.join(late)}")
    if options.json:
        write_json(options.json, figures, {"quick": options.quick, "seed": options.seed, **_described(plan)})
    return 0


def measure(scratch: Path, plan: Plan, *, starts: int) -> dict[str, float]:
    """Measure everything that runs as processes. Raises: LoadFailed, ServerFailed."""
    _say(f"starting the service {starts} times")
    figures = start_figures(scratch, starts, settle_s=0.3)
    _say("reference: echo")
    with echo_server() as port:
        echo = trio.run(load, port, plan.seconds / 2, [Echo(port) for _ in range(plan.connections)])
    figures |= {"echo_per_s": echo.per_s, "echo_p50_ms": echo.quantile_ms(0.5)}
    _say(f"durable reservations, checks, heartbeats: {plan.rounds} rounds of {plan.seconds:g} s, twice, and 2 more")
    figures |= durability_figures(scratch, plan)
    figures["ratio_check_to_echo"] = figures["check_per_s"] / figures["echo_per_s"]
    # What this system cannot tell is 0, and is left out rather than compared with a target.
    return {name: value for name, value in figures.items() if value}


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.figures", description="Measure the service on this machine."
    )
    parser.add_argument("--quick", action="store_true", help="under 20 s: shorter loads, a smaller lock table")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    parser.add_argument("--seed", type=int, default=7, help="of the lock table's patterns (default: 7)")
    parser.add_argument(
        "--directory", type=Path, default=Path.cwd(), help="where the data goes while it runs (default: here)"
    )
    return parser.parse_args()


def _described(plan: Plan) -> dict[str, object]:
    return {"connections": plan.connections, "rounds": plan.rounds, "seconds": plan.seconds}


def _say(text: str) -> None:
    print(f"... {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
