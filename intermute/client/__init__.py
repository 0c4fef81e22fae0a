"""The client library: what a Python agent, tool or orchestrator calls Intermute with. For trio; `sync` is for scripts.

`Client` is the way in; docs/client.md has examples. The types that go in and come out are those of the service, in
`intermute.core.api`, and so are the errors, in `intermute.core.errors`. This package imports `core` and nothing else of the
service.
"""

from intermute.client.calls import NobodyYet
from intermute.client.client import Client
from intermute.client.errors import NoAnswer, NotIntermute, ServiceError, conflicts_in
from intermute.client.events import Event, Events
from intermute.client.leases import Lease, LeaseLost
from intermute.client.settings import ONCE, BadSettings, ClientSettings, Retries
from intermute.core.errors import CursorExpired

__all__ = [
    "ONCE",
    "BadSettings",
    "Client",
    "ClientSettings",
    "CursorExpired",
    "Event",
    "Events",
    "Lease",
    "LeaseLost",
    "NoAnswer",
    "NobodyYet",
    "NotIntermute",
    "Retries",
    "ServiceError",
    "conflicts_in",
]
