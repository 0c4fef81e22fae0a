"""`python -m loadtest`: hammer the service, check its promises meanwhile, and report what was seen.

Exit code 0 when nothing was wrong, also where a target is missed: a shared machine must not fail a build. 1 when a promise
was broken or an answer was wrong; then the history is printed. 2 when it was called wrongly, could not start,
or could not write its report.
"""

import sys

from rich.console import Console

from loadtest.engine.progress import ProgressBar
from loadtest.engine.run import run
from loadtest.engine.server import ServerFailed
from loadtest.engine.talk import ClientsFailed
from loadtest.options import options_of
from loadtest.report import compare, model, page, summary, table

INTERRUPTED = 130  # as a shell has it for a program that was ended by Ctrl-C.


def main(words: list[str] | None = None) -> int:
    """Run what was asked for and return the exit code."""
    options = options_of(words)
    plan, console = options.plan, Console()
    try:
        with ProgressBar(plan.steps * len(plan.scenarios)) as progress:
            report = run(plan, progress)
    except (ServerFailed, ClientsFailed) as failed:
        print(f"loadtest: {failed}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("loadtest: stopped, and nothing is left behind", file=sys.stderr)
        return INTERRUPTED
    # First to the terminal: a full disk must not take minutes of measuring with it.
    table.print_report(report, console)
    if options.earlier is not None:
        compare.print_comparison(compare.compare(report, options.earlier), console)
    try:
        model.write(options.json_path, report)
        page.write(options.html_path, report, options.earlier)
    except OSError as failed:
        print(f"loadtest: the report could not be written ({failed}): make room, or name other files", file=sys.stderr)
        return 1 if summary.broken(report) else 2
    table.say(console, f"took {report.took_s:.0f} s, seed {report.seed}; {options.json_path} and {options.html_path}")
    return 1 if summary.broken(report) else 0


if __name__ == "__main__":
    sys.exit(main())
