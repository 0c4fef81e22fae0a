"""Who asked for a reservation, in SQLite: the last request of each asker, so that the same one is not sent twice."""

from dataclasses import dataclass
from typing import Final

import apsw

from intermute.core.ids import AgentId, MessageId, ReservationId
from intermute.store.statements import Statement

_SAVE: Final = """
INSERT INTO release_requests (reservation_id, asker, fence, message_id)
VALUES (:reservation_id, :asker, :fence, :message_id)
ON CONFLICT (reservation_id, asker) DO UPDATE SET fence = excluded.fence, message_id = excluded.message_id
"""
# A request has one recipient, the holder of its time.
_UNREAD: Final = """
SELECT q.asker, q.fence, q.message_id FROM release_requests q CROSS JOIN recipients r ON r.message_id = q.message_id
WHERE q.reservation_id = :reservation_id AND r.read_at_us IS NULL ORDER BY q.asker
"""


@dataclass(frozen=True, slots=True)
class ReleaseRequest:
    """One asker's last request. `fence` tells which holding it was about."""

    asker: AgentId
    fence: int
    message_id: MessageId


def save(reservation_id: ReservationId, request: ReleaseRequest) -> Statement:
    """Write an asker's request over its last one."""
    return Statement(
        _SAVE,
        {
            "reservation_id": reservation_id,
            "asker": request.asker,
            "fence": request.fence,
            "message_id": request.message_id,
        },
    )


def unread(connection: apsw.Connection, reservation_id: str) -> list[ReleaseRequest]:
    """Return the requests for this reservation whose message nobody has read."""
    return [
        ReleaseRequest(AgentId(row[0]), row[1], MessageId(row[2]))
        for row in connection.execute(_UNREAD, {"reservation_id": reservation_id})
    ]
