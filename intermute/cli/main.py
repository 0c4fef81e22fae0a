"""The commands and their flags. Without a command it serves."""

import os
import sys
from pathlib import Path

import click

from intermute import __version__
from intermute.app import run
from intermute.cli.backup import backup, restore
from intermute.cli.check import check
from intermute.cli.demo import demo
from intermute.cli.doctor import doctor
from intermute.cli.import_original import import_original
from intermute.cli.inbox import inbox
from intermute.cli.options import data_option
from intermute.cli.quarantine import quarantine
from intermute.cli.retention import retention
from intermute.config import DEFAULT_HOST, DEFAULT_PORT, LaneName, LogFormat, Settings
from intermute.core.limits import BATCH_MAX
from intermute.logs import configure, log
from intermute.web.keys import KeysRefused, add_key, keys_path
from intermute.web.openapi import openapi_document

_EPILOG = """Examples:

\b
  intermute serve                          serve this machine on 127.0.0.1:7338
  intermute serve --port 0 --data /srv/im  any free port, another data directory
  intermute init --project acme            make an API key for project acme
  intermute demo                           watch three agents share this repository
  intermute doctor                         look into ./intermute-data
  intermute backup /var/backups/intermute  copy every project while the server runs; `restore` is its return
  intermute quarantine list                which projects are damaged, and how to go on
  intermute retention --project acme --keep-days 30 --dry-run   what would be trimmed?
  intermute import-original old.db         take over the file of the original service; --dry-run first
  intermute check src/a.py                 is it free? For commit hooks and builds
  intermute inbox --unread-pokes --project acme --agent anna     what no terminal took. For hooks

Exit codes: 0 well, 1 failed, 2 wrong usage, 3 refused to start or unwell, 4 shutdown got stuck, 130 second signal.
`intermute check` has its own; its --help lists them.
"""

_keys_option = click.option(
    "--keys-file",
    type=click.Path(path_type=Path),
    help="Keys file; else INTERMUTE_KEYS_FILE, else ./intermute.keys.yaml.",
)


@click.group(invoke_without_command=True, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="intermute")
@click.pass_context
def cli(context: click.Context) -> None:
    """Intermute lets coding agents that share one code base see each other."""
    if context.invoked_subcommand is None:
        context.invoke(serve)


@cli.command(epilog="Example:  intermute serve --port 0 --log-format json")
@click.option(
    "--host", default=DEFAULT_HOST, show_default=True, help="Address to bind; others than loopback need keys."
)
@click.option(
    "--port",
    default=DEFAULT_PORT,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="TCP port; 0 takes a free one.",
)
@data_option("Directory of the projects' files; made if it is not there.")
@click.option("--socket", type=click.Path(path_type=Path), help="Also listen on this Unix socket.")
@_keys_option
@click.option(
    "--allow-host", multiple=True, metavar="NAME", help="A further name in the Host header to answer to; repeatable."
)
@click.option(
    "--trust-local-callers",
    is_flag=True,
    help="Let local callers in without a key although other machines reach --host.",
)
@click.option(
    "--lane", default="fast", show_default=True, type=click.Choice([each.value for each in LaneName]),
    help="Answer plain requests without a framework, or everything through Quart.",
)  # fmt: skip
@click.option("--no-live", is_flag=True, help="Put no message into a terminal, though tmux is there.")
@click.option("--log-format", default="text", show_default=True, type=click.Choice([each.value for each in LogFormat]))
@click.option(
    "--batch-max", default=BATCH_MAX, hidden=True, type=click.IntRange(1, BATCH_MAX), help="Commands in one commit."
)
def serve(
    host: str, port: int, data: Path, socket: Path | None, keys_file: Path | None, allow_host: tuple[str, ...],
    trust_local_callers: bool, no_live: bool, lane: str, log_format: str, batch_max: int,
) -> None:  # fmt: skip
    """Serve until SIGTERM or SIGINT."""
    settings = Settings(
        host=host,
        port=port,
        data=data,
        socket=socket,
        keys_file=keys_file or keys_path(os.environ),
        allowed_hosts=frozenset(allow_host),
        trusts_local=trust_local_callers,
        lane=LaneName(lane),
        goes_live=not no_live,
        log_format=LogFormat(log_format),
        batch_max=batch_max,
    )
    configure(settings.log_format)
    sys.exit(run(settings, log))


@cli.command(epilog="Example:  intermute init --project acme --keys-file ./keys.yaml")
@click.option("--project", required=True, help="The project that the key opens.")
@_keys_option
@click.option("--hashed", is_flag=True, help="Store only the key's SHA-256; then this is the only time it is shown.")
def init(project: str, keys_file: Path | None, hashed: bool) -> None:
    """Make an API key for a project; a running server takes it up by itself."""
    path = keys_file or keys_path(os.environ)
    try:
        key = add_key(path, project, is_hashed=hashed)
    except KeysRefused as refused:
        raise click.ClickException(str(refused)) from None
    shown = path if path.is_absolute() else f"./{path}"
    click.echo(f'Created API key for project "{project.strip()}" in {shown}\n')
    click.echo(f"Key: {key}\n")
    click.echo("To use this key, set the environment variable or add the header:")
    click.echo(f"  export INTERMUTE_API_KEY={key}")
    click.echo(f'  -H "Authorization: Bearer {key}"\n')
    click.echo("To start the server with these keys:")
    click.echo(f"  INTERMUTE_KEYS_FILE={shown} intermute serve")


@cli.command()
def version() -> None:
    """Print the version."""
    click.echo(f"intermute {__version__}")


@cli.command(hidden=True)
def openapi() -> None:
    """Print the OpenAPI document."""
    click.echo(openapi_document().decode(), nl=False)


cli.add_command(backup)
cli.add_command(check)
cli.add_command(doctor)
cli.add_command(demo)
cli.add_command(inbox)
cli.add_command(import_original)
cli.add_command(quarantine)
cli.add_command(restore)
cli.add_command(retention)


def main() -> None:
    """Run the command line; the console script."""
    cli(prog_name="intermute")
