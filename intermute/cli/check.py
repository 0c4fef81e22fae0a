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
from intermute.core.api.check_text import checked_text
from intermute.core.api.checks import Checked
from intermute.core.api.claims import ConflictView
from intermute.core.limits import TARGETS_PER_REQUEST_MAX

_DEFAULT_URL: Final = f"http://{DEFAULT_HOST}:{DEFAULT_PORT}"
_EPILOG: Final = """Examples:

\b
  intermute check src/a.py docs/x.md               may I edit these?
  intermute check --agent anna --glob 'src/**'     leave out what anna holds
  intermute check --shared --json src/a.py         may I read it undisturbed?
  intermute check --address src/a.py::total        may I edit this function?
  git diff --cached --name-only -z | xargs -0 -r intermute check --

A path is literal and counts from the top of the repository, wherever you are. The key comes from INTERMUTE_API_KEY.

\b
Exit codes:
  0  clear
  1  conflict: somebody else holds some of it
  2  wrong usage
  3  no verdict: unreachable, key refused, or out of order; the message says why
  4  clear, but with warnings under --strict. A warning is: others work on the same
     file, or have said that they will; the agent is unknown to the project; or a
     path has wildcard characters, which --glob would read
"""


class Verdict(IntEnum):
    """The exit codes of a check that was answered; 2 and 3 come with the errors."""

    CLEAR = 0
    CONFLICT = 1
    WARNED = 4


@click.command(epilog=_EPILOG)
@click.argument("paths", nargs=-1, metavar="PATH…")
@click.option("--glob", "globs", multiple=True, metavar="PATTERN", help="A path with wildcards; repeatable.")
@click.option("--address", "addresses", multiple=True, metavar="PATH::SYMBOL", help="A symbol in a file; repeatable.")
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
@click.option("--mode", help="Or another mode: exclusive, shared, observe, collaborate or curate.")
@click.option("--branch", help="The branch that is worked on.")
@click.option("--worktree", help="The checkout that is worked in.")
@click.option("--json", "is_json", is_flag=True, help="Print the answer as JSON.")
@click.option("--strict", is_flag=True, help="Exit with 4 where there are warnings.")
def check(
    paths: tuple[str, ...], globs: tuple[str, ...], addresses: tuple[str, ...], project: str | None, agent: str | None,
    url: str, mode: str | None, branch: str | None, worktree: str | None, *, shared: bool, is_json: bool, strict: bool,
) -> None:  # fmt: skip
    """Tell whether paths are free, and who holds them if not. It reserves nothing."""
    asked = [*(("paths", path) for path in paths), *(("patterns", glob) for glob in globs)]
    asked += [("addresses", address) for address in addresses]
    if not asked:
        raise click.UsageError("name a PATH, a pattern with --glob, or a symbol with --address")
    if shared and mode is not None:
        raise click.UsageError("--shared is --mode shared; say one of them")
    _refuse_undecodable(
        [text for _, text in asked] + [project or "", agent or "", mode or "", branch or "", worktree or ""]
    )
    service = service_at(url, os.environ.get("INTERMUTE_API_KEY"))
    common = {"project": project, "agent_id": agent, "mode": mode or ("shared" if shared else "exclusive")}
    common |= {"branch": branch, "worktree": worktree}
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
    click.echo(f"{msgspec.json.encode(view).decode()}\n" if is_json else checked_text(None, view), nl=False)
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


def _joined(views: Sequence[Checked]) -> Checked:
    """Return several answers as one; the sentence is that of the first that has something to tell."""
    if len(views) == 1:
        return views[0]
    shifted = [_shifted(view, place * TARGETS_PER_REQUEST_MAX) for place, view in enumerate(views)]
    telling = next((view for view in shifted if view.conflict), shifted[0])
    return msgspec.structs.replace(
        telling,
        conflicts=[conflict for view in shifted for conflict in view.conflicts],
        more_conflicts=any(view.more_conflicts for view in shifted),
        targets=[target for view in shifted for target in view.targets],
        warnings=[warning for view in shifted for warning in view.warnings or ()] or None,
        alternatives=[each for view in shifted for each in view.alternatives or ()] or None,
        notes=list(dict.fromkeys(note for view in shifted for note in view.notes or ())) or None,
        seq=min(view.seq for view in shifted),
    )


def _shifted(view: Checked, by: int) -> Checked:
    """Return an answer with the places that its targets have in the whole list."""

    def moved(finding: ConflictView) -> ConflictView:
        requested = msgspec.structs.replace(finding.requested, n=finding.requested.n + by)
        return msgspec.structs.replace(finding, requested=requested)

    return msgspec.structs.replace(
        view,
        conflicts=[moved(each) for each in view.conflicts],
        targets=[msgspec.structs.replace(each, n=each.n + by) for each in view.targets],
        warnings=[moved(each) for each in view.warnings or ()] or None,
        alternatives=[msgspec.structs.replace(each, n=each.n + by) for each in view.alternatives or ()] or None,
    )


def _verdict(view: Checked, *, is_strict: bool) -> Verdict:
    if view.conflict:
        return Verdict.CONFLICT
    return Verdict.WARNED if is_strict and (view.warnings or view.notes) else Verdict.CLEAR
