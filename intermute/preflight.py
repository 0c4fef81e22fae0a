"""What is looked at before the service starts: versions, who would be trusted, and how many descriptors there are.

Each function tells what is wrong, or makes it fit; the composition root decides what that means. Source: guarantees.md T4,
T10, T28.
"""

import dataclasses
import importlib.metadata
import ipaddress
import re
import resource
from collections.abc import Iterable
from typing import Final

import apsw

from intermute.core import limits
from intermute.store.connection import SQLITE_OLDEST, sqlite_version
from intermute.web.server import ServerLimits

H11_OLDEST: Final = (0, 16, 0)
"""Before it a bad chunk end could smuggle a request past a proxy (CVE-2025-43859)."""
_DESCRIPTORS_PER_PROJECT: Final = 4  # the database, its log, its index, and one for a reader's moment.
_DESCRIPTORS_SPARE: Final = 64  # listeners, log, lock, signal pipes, epoll, and what a library opens for a moment.

Version = tuple[int, ...]


def outdated() -> str | None:
    """Return what is too old to be safe, and what to do; None where nothing is."""
    h11 = importlib.metadata.version("h11")
    found = (
        too_old("SQLite", sqlite_version(), SQLITE_OLDEST, f"apsw {_dotted(SQLITE_OLDEST)}", apsw.sqlite_lib_version()),
        too_old("h11", version_of(h11), H11_OLDEST, f"h11 {_dotted(H11_OLDEST)}", h11),
    )
    return next((each for each in found if each is not None), None)


def too_old(name: str, found: Version, oldest: Version, install: str, shown: str) -> str | None:
    """Return that a part is older than it may be, and what to install instead; None where it is not."""
    return f"{name} {shown} is too old: install {install} or newer" if found < oldest else None


def version_of(text: str) -> Version:
    """Return the numbers of a version; what follows them (`+dev`, `rc1`) does not count."""
    matched = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in matched[0].split(".")) if matched else ()


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address that is listened on."""
    return ipaddress.ip_address(host).is_loopback


def undue_trust(hosts: Iterable[str], *, allows_local: bool, is_accepted: bool) -> str | None:
    """Return why these addresses may not be served, and what to do; None where they may.

    Local callers need no key, and a port that other machines reach is often reached by others as a local one: through a
    forwarded port, from a container on the host's network, or by a proxy that adds no header (guarantees.md T4).
    """
    reachable = [host for host in hosts if not is_loopback(host)]
    if not reachable or not allows_local or is_accepted:
        return None
    return (
        f"{reachable[0]} can be reached from other machines, and the keys file lets local callers in without a key: "
        "set default_policy.allow_localhost_without_auth to false there, or bind to 127.0.0.1, "
        "or say --trust-local-callers if nothing forwards to this port"
    )


def fitted(wished: ServerLimits, descriptors: int) -> ServerLimits:
    """Return the limits with as many connections as there are descriptors for, beside those of the projects."""
    room = max(descriptors - _reserved(), descriptors // 2)
    return dataclasses.replace(wished, connections_max=max(1, min(wished.connections_max, room)))


def raise_descriptor_limit(wished: ServerLimits) -> int:
    """Ask for as many descriptors as all connections and projects need, as far as the process may; return how many it has."""
    needed = wished.connections_max + _reserved()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    return needed if soft == resource.RLIM_INFINITY else soft


def _reserved() -> int:
    return limits.PROJECTS_LIVE_MAX * _DESCRIPTORS_PER_PROJECT + _DESCRIPTORS_SPARE


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))
