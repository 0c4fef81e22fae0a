"""Reading the audit: what was done by force, by whom and why. All of it comes from committed facts on a read connection."""

import apsw

from intermute.core import limits
from intermute.core.api.audit import AuditPage, AuditRecord, ListAudit
from intermute.core.pages import page_size
from intermute.core.times import rfc3339
from intermute.project.transaction import Desk, FromStore
from intermute.store import audit as rows


def list_audit(query: ListAudit, desk: Desk) -> FromStore[AuditPage]:
    """Return the records after a cursor, the oldest first."""
    cursor = query.since_cursor or 0
    limit = page_size(query.limit, limits.PAGE_DEFAULT)

    def work(connection: apsw.Connection) -> AuditPage:
        found = rows.after(connection, cursor, limit)
        records = [
            AuditRecord(
                cursor=row.cursor,
                at=rfc3339(row.at_us),
                actor=row.actor,
                actor_name=desk.state.agents.name_of(row.actor),
                verified=row.verified,
                action=row.action,
                reason=row.reason,
                subject=dict(row.subject),
            )
            for row in found
        ]
        return AuditPage(records=records, cursor=found[-1].cursor if found else cursor)

    return FromStore(work)
