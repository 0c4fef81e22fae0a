"""Every refusal and fault a client can meet: a stable code, a sentence that says what to do, and data.

A class here is a published code (style.md 26): it keeps its meaning. Its HTTP status is one line of `web/errors.py`.
Raise with data; the message is built in the class (style.md 23). Three kinds (design.md 3.7): refusals are the asker's
business, faults are the outside world's, and anything that is not in this package is a bug.
"""

from intermute.core.errors.agents import (
    ActiveSessionConflict,
    InvalidFocusState,
    InvalidSessionId,
    MetadataRequired,
    TooManyAgents,
    UnknownAgent,
)
from intermute.core.errors.callers import (
    AgentHeaderMissing,
    AgentIdentityMismatch,
    BrowserRefused,
    ForeignProject,
    MisdirectedHost,
    NotYours,
    ProjectRequired,
    Unauthorized,
)
from intermute.core.errors.claims import (
    Deadlock,
    IdempotencyKeyReused,
    StaleForecast,
    TooManyWaiters,
    TooMuchInTheWay,
    UnknownTicket,
)
from intermute.core.errors.domain_error import DomainError
from intermute.core.errors.intents import IntentLimit, IntentOver, UnknownIntent
from intermute.core.errors.messages import (
    InvalidTransport,
    LiveDeliveryFailed,
    MessageIdTaken,
    NotARecipient,
    UnknownMessage,
)
from intermute.core.errors.request import (
    BodyTooLarge,
    InvalidRequest,
    MalformedJson,
    MethodNotAllowed,
    UnknownRoute,
    UnsupportedMediaType,
)
from intermute.core.errors.reservations import (
    BadPattern,
    ForceReleaseRefused,
    PatternTooBroad,
    ReservationConflict,
    ReservationEnded,
    ReservationLimit,
    TransferConflict,
    UnknownReservation,
)
from intermute.core.errors.service import (
    InternalError,
    InvalidProject,
    OutcomeUnknown,
    Overloaded,
    ProjectParked,
    ShuttingDown,
    StorageFull,
    StorageUnavailable,
    TooManyProjects,
    TooManySubscribers,
    TooSlow,
)
from intermute.core.errors.settings import SettingsInUse
from intermute.core.errors.symbols import SymbolIndexFull

__all__ = [
    "ActiveSessionConflict",
    "AgentHeaderMissing",
    "AgentIdentityMismatch",
    "BadPattern",
    "BodyTooLarge",
    "BrowserRefused",
    "Deadlock",
    "DomainError",
    "ForceReleaseRefused",
    "ForeignProject",
    "IdempotencyKeyReused",
    "IntentLimit",
    "IntentOver",
    "InternalError",
    "InvalidFocusState",
    "InvalidProject",
    "InvalidRequest",
    "InvalidSessionId",
    "InvalidTransport",
    "LiveDeliveryFailed",
    "MalformedJson",
    "MessageIdTaken",
    "MetadataRequired",
    "MethodNotAllowed",
    "MisdirectedHost",
    "NotARecipient",
    "NotYours",
    "OutcomeUnknown",
    "Overloaded",
    "PatternTooBroad",
    "ProjectParked",
    "ProjectRequired",
    "ReservationConflict",
    "ReservationEnded",
    "ReservationLimit",
    "SettingsInUse",
    "ShuttingDown",
    "StaleForecast",
    "StorageFull",
    "StorageUnavailable",
    "SymbolIndexFull",
    "TooManyAgents",
    "TooManyProjects",
    "TooManySubscribers",
    "TooManyWaiters",
    "TooMuchInTheWay",
    "TooSlow",
    "TransferConflict",
    "Unauthorized",
    "UnknownAgent",
    "UnknownIntent",
    "UnknownMessage",
    "UnknownReservation",
    "UnknownRoute",
    "UnknownTicket",
    "UnsupportedMediaType",
]
