"""`intermute inbox`: what waits to be shown to an agent. For the hooks of agents, as the original has it (contract.md 4.3)."""

import http.client
import os
from typing import Final
from urllib.parse import quote, urlencode

import click
import msgspec

from intermute.cli.check_call import Service, service_at
from intermute.config import DEFAULT_HOST, DEFAULT_PORT
from intermute.core.api.live import PokeList

_DEFAULT_URL: Final = f"http://{DEFAULT_HOST}:{DEFAULT_PORT}"


@click.command(
    epilog="Example:  intermute inbox --unread-pokes --project acme --agent anna --mark-surfaced\n\n"
    "The key comes from INTERMUTE_API_KEY."
)
@click.option("--unread-pokes", is_flag=True, help="Print what was to be put into the agent's terminal and was not.")
@click.option("--project", default="", help="The project.")
@click.option("--agent", default="", help="The agent, by id or name.")
@click.option("--mark-surfaced", is_flag=True, help="Acknowledge each one after it is printed.")
@click.option("--url", default=_DEFAULT_URL, show_default=True, help="Where the service runs.")
def inbox(project: str, agent: str, url: str, *, unread_pokes: bool, mark_surfaced: bool) -> None:
    """Print what waits to be shown to an agent, separated by lines of `---`."""
    if not unread_pokes:
        raise click.ClickException("only --unread-pokes is currently supported")
    if not project or not agent:
        raise click.ClickException("--project and --agent are required")
    service = service_at(url, os.environ.get("INTERMUTE_API_KEY"))
    whose = urlencode({"project": project, "agent": agent})
    listed = _asked(service, "GET", f"/api/inbox/pokes?{whose}", "list inbox pokes")
    for number, poke in enumerate(msgspec.json.decode(listed, type=PokeList).pokes):
        if number:
            click.echo("---")
        click.echo(poke.body)
        if mark_surfaced:
            path = f"/api/inbox/pokes/{quote(poke.message_id, safe='')}/ack?{whose}"
            _asked(service, "POST", path, f"ack inbox poke {poke.message_id}")


def _asked(service: Service, method: str, path: str, what: str) -> bytes:
    status, content = service.exchange(method, path, b"{}" if method == "POST" else None)
    if status != http.client.OK:
        raise click.ClickException(f"{what}: status {status}: {content.decode(errors='replace').strip()}")
    return content
