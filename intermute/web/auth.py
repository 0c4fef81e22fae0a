"""Who calls: a local caller, or the holder of a project's key. Source: contract.md 3, design.md 9, guarantees.md T5 and T7.

Local means that the peer is loopback or our Unix socket and no header says that somebody forwarded the call.
"""

import ipaddress
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from intermute.core.agents import Caller, Identity, hash_of_token
from intermute.core.errors import Unauthorized
from intermute.core.ids import AgentId, ProjectName
from intermute.web.answer import Call, Peer
from intermute.web.keys import Keys, KeysRefused, load_keys

FORWARDING_HEADERS: Final = frozenset(
    {
        "forwarded", "via", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "x-remote-ip", "x-remote-addr", "x-proxyuser-ip",
        "true-client-ip", "cf-connecting-ip", "cf-connecting-ipv6", "fastly-client-ip", "fly-client-ip", "client-ip",
        "x-envoy-external-address", "x-azure-clientip", "x-appengine-user-ip", "cdn-loop",
    }
)  # fmt: skip
"""Whoever forwards calls adds one of these; there is no list of all, so they only ever take the privilege away."""
FORWARDING_PREFIXES: Final = ("x-forwarded", "x-original-", "x-arr-")
_RELOAD_EVERY_S: Final = 1.0  # seconds between looks at the file's time stamp; a rotated key works a second later.


class Principal(msgspec.Struct, frozen=True):
    """Who calls. `project` is the key's project, None for a local caller."""

    project: ProjectName | None
    caller: Caller

    @property
    def is_local(self) -> bool:
        """Tell whether the caller needed no key."""
        return self.caller.is_local


class KeyRing:
    """The keys in force. Never blocks for more than a look at one small file."""

    def __init__(
        self,
        path: Path,
        keys: Keys,
        mono_s: Callable[[], float],
        log: Callable[..., None],
        *,
        may_trust_local: bool = True,
    ) -> None:
        """Args: may_trust_local: False where a file that lets local callers in without a key would have kept us from starting."""
        self._path, self._keys, self._mono_s, self._log = path, keys, mono_s, log
        self._may_trust_local = may_trust_local
        self._looked_at_s = mono_s()
        self._stamp = self._read_stamp()

    def current(self) -> Keys:
        """Return the keys, read anew if the file has changed."""
        now_s = self._mono_s()
        if now_s - self._looked_at_s >= _RELOAD_EVERY_S:
            self._looked_at_s = now_s
            stamp = self._read_stamp()
            if stamp != self._stamp:
                self._stamp = stamp
                self._reload()
        return self._keys

    def _reload(self) -> None:
        try:
            found = load_keys(self._path)
            if found.allows_local and not self._may_trust_local:
                raise KeysRefused("allow_localhost_without_auth must stay false: other machines reach this server")
            self._keys = found
        except KeysRefused as refused:
            self._log("keys.reload_failed", file=str(self._path), error=str(refused))
        else:
            self._log("keys.reloaded", file=str(self._path), projects=len({name for _, name in self._keys.projects}))

    def _read_stamp(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size


def is_local(peer: Peer, call: Call) -> bool:
    """Tell whether the call comes from this machine, with no header that says otherwise."""
    if any(name in FORWARDING_HEADERS or name.startswith(FORWARDING_PREFIXES) for name, _ in call.headers):
        return False
    if peer.is_unix:
        return True
    return _is_loopback(peer.host or "")


@lru_cache(maxsize=1024)
def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def authenticate(call: Call, keys: Keys) -> Principal:
    """Tell who calls. Raises: Unauthorized."""
    claims = call.header("x-agent-id") or None
    token = call.header("x-agent-token")
    token_hash = hash_of_token(token) if token else None
    if keys.allows_local and is_local(call.peer, call):
        return Principal(None, Caller(is_local=True, claims=claims, token_hash=token_hash))
    scheme, _, key = (call.header("authorization") or "").partition(" ")
    project = keys.project_of(key.strip()) if scheme.lower() == "bearer" and key.strip() else None
    if project is None:
        raise Unauthorized
    return Principal(project, Caller(is_local=False, claims=claims, token_hash=token_hash))


def reader_of(identity: Identity, caller: Caller, asked_as: AgentId | None) -> str | None:
    """Return under what a reader of the log is counted: its agent, or the key; None for a local caller that names no agent.

    Args: asked_as: the agent whose socket it is, where it says no more of itself.
    """
    agent = identity.address or asked_as
    if agent is not None:
        return f"agent {agent}"
    return None if caller.is_local else "key"
