"""How many connections each address holds: one stranger cannot take every place. Source: guarantees.md T10.

Callers from this machine are not counted: they share one address, and the total bounds them.
"""

import ipaddress
from collections import Counter

_NETWORK_OF_ONE_IPV6_HOST = 64  # bits; what a provider gives to one customer, who may use any address in it.


class Crowd:
    """Counts the connections of each address, up to a bound."""

    def __init__(self, per_address_max: int) -> None:
        self._per_address_max = per_address_max
        self._counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._counts)

    def enter(self, origin: str | None) -> bool:
        """Count a connection; False where its address has as many as it may, and then it is not counted."""
        if origin is None:
            return True
        if self._counts.get(origin, 0) >= self._per_address_max:
            return False
        self._counts[origin] += 1
        return True

    def leave(self, origin: str | None) -> None:
        """Count a connection no more that `enter` has counted."""
        if origin is None:
            return
        self._counts[origin] -= 1
        if not self._counts[origin]:
            del self._counts[origin]


def origin_of(host: str | None) -> str | None:
    """Return under what a peer's connections are counted; None for this machine's own, over loopback or a Unix socket."""
    if host is None:
        return None
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return origin_of(str(address.ipv4_mapped))
        if not address.is_loopback:
            return str(ipaddress.ip_network((address, _NETWORK_OF_ONE_IPV6_HOST), strict=False))
    return None if address.is_loopback else str(address)
