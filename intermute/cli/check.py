"""`intermute check`: is it free? For people, commit hooks and builds."""

import io
import os
import sys
from collections.abc import Sequence
from enum import IntEnum
from typing import Final

import click
import msgspec

from intermute.app import ExitCode
from intermute.cli.check_call import service_at
from intermute.config import DEFAULT_HOST, DEFAULT_PORT
from intermute.core.api.check_text import targets_text
from intermute.core.api.checks import CheckedTargets
from intermute.core.limits import TARGETS_PER_REQUEST_MAX

_DEFAULT_URL: Final = f"http://{DEFAULT_HOST}:{DEFAULT_PORT}"
_EPILOG: Final = """Examples:

\b
  intermute check src/a.py docs/x.md               may I edit these?
  intermute check --agent anna --glob 'src/**'     leave out what anna holds
  intermute check --shared --json src/a.py         may I read it undisturbed?
  git diff --cached --name-only -z | xargs -0 -r intermute check --

A path is literal and counts from the top of the repository, wherever you are. The key comes from INTERMUTE_API_KEY.

\b
Exit codes:
  0  clear
  1  conflict: somebody else holds some of it
  2  wrong usage
  3  no verdict: unreachable, key refused, or out of order; the message says why
  4  clear, but with warnings under --strict. A warning is: the agent is unknown to
     the project, or a path has wildcard characters, which --glob would read
"""


class Verdict(IntEnum):
    """The exit codes of a check that was answered; 2 and 3 come with the errors."""

    CLEAR = 0
    CONFLICT = 1
    WARNED = 4


@click.command(epilog=_EPILOG)
@click.argument("paths", nargs=-1, metavar="PATH…")
@click.option("--glob", "globs", multiple=True, metavar="PATTERN", help="A path with wildcards; repeatable.")
@click.option(
    "--project", envvar="INTERMUTE_PROJECT", help="Project; else INTERMUTE_PROJECT, else the key's or `default`."
)
@click.option(
    "--agent",
    envvar=["INTERMUTE_AGENT_NAME", "INTERMUTE_AGENT"],
    help="Who asks: its own are not in the way. Else INTERMUTE_AGENT_NAME, else INTERMUTE_AGENT.",
)
@click.option("--url", envvar="INTERMUTE_URL", default=_DEFAULT_URL, show_default=True, help="Else INTERMUTE_URL.")
@click.option("--shared", is_flag=True, help="Ask for shared use, to read; without it for exclusive use, to edit.")
@click.option("--json", "is_json", is_flag=True, help="Print the answer as JSON.")
@click.option("--strict", is_flag=True, help="Exit with 4 where there are warnings.")
def check(
    paths: tuple[str, ...], globs: tuple[str, ...], project: str | None, agent: str | None, url: str, *,
    shared: bool, is_json: bool, strict: bool,
) -> None:  # fmt: skip
    """Tell whether paths are free, and who holds them if not. It reserves nothing."""
    asked = [*(("paths", path) for path in paths), *(("patterns", glob) for glob in globs)]
    if not asked:
        raise click.UsageError("name a PATH, or a pattern with --glob")
    _refuse_undecodable([*paths, *globs, project or "", agent or ""])
    service = service_at(url, os.environ.get("INTERMUTE_API_KEY"))
    common = {"project": project, "agent_id": agent, "mode": "shared" if shared else "exclusive"}
    try:
        views = [
            service.check({**common, **_fields(asked[start : start + TARGETS_PER_REQUEST_MAX])})
            for start in range(0, len(asked), TARGETS_PER_REQUEST_MAX)
        ]
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)  # Left to click it would be 1, which is a conflict here.
    view = _joined(views)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # A file's name may have what the log cannot show.
    click.echo(f"{msgspec.json.encode(view).decode()}\n" if is_json else targets_text(None, view), nl=False)
    sys.exit(_verdict(view, is_strict=strict))


def _refuse_undecodable(texts: Sequence[str]) -> None:
    """Refuse what the system handed over as bytes that are no UTF-8. Raises: click.UsageError."""
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise click.UsageError(f"{text!a} is not UTF-8, as names of reserved paths have to be") from None


def _fields(asked: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    return {field: [text for name, text in asked if name == field] for field in dict(asked)}


def _joined(views: Sequence[CheckedTargets]) -> CheckedTargets:
    """Return several answers as one; the sentence is that of the first that has something to tell."""
    telling = next((view for view in views if view.conflict), views[0])
    return CheckedTargets(
        conflict=telling.conflict,
        conflicts=[conflict for view in views for conflict in view.conflicts],
        message=telling.message,
        more_conflicts=any(view.more_conflicts for view in views),
        targets=[target for view in views for target in view.targets],
        warnings=list(dict.fromkeys(warning for view in views for warning in view.warnings or ())) or None,
    )


def _verdict(view: CheckedTargets, *, is_strict: bool) -> Verdict:
    if view.conflict:
        return Verdict.CONFLICT
    return Verdict.WARNED if is_strict and view.warnings else Verdict.CLEAR
