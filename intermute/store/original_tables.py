"""The tables and columns of the original's file that are read, and what in it is only counted. Source: contract.md 5.2."""

from typing import Final

from intermute.core.entities.definition import FieldType
from intermute.core.entities.kinds import ENTITIES
from intermute.core.original.entities import columns_of

ENTITY_TABLES: Final = {entity.plural: tuple(columns_of(entity)) for entity in ENTITIES}

TABLES: Final[dict[str, tuple[str, ...]]] = {
    "agents": (
        "id", "session_id", "name", "token", "capabilities_json", "metadata_json", "status",
        "contact_policy", "live_contact_policy", "created_at", "last_seen",
    ),
    "agent_contacts": ("agent_id", "contact_agent_id", "created_at"),
    **ENTITY_TABLES,
    "cuj_feature_links": ("cuj_id", "feature_id", "linked_at"),
    "messages": (
        "message_id", "thread_id", "from_agent", "to_json", "cc_json", "bcc_json", "subject", "topic", "body", "importance",
        "ack_required", "created_at",
    ),
    "message_recipients": ("agent_id", "read_at", "ack_at"),
    "file_reservations": ("id", "agent_id", "path_pattern", "exclusive", "reason", "created_at", "expires_at", "released_at"),
}  # fmt: skip
"""In the order in which they are taken: nothing refers to what comes after it."""

IMPORTED: Final = tuple(table for table in TABLES if table != "message_recipients")
"""Those whose rows come in one by one; the marks of recipients come with their messages."""

NUMBERS: Final = frozenset({"ack_required", "exclusive"}) | {
    name
    for entity in ENTITIES
    for name, kind in columns_of(entity).items()
    if kind in (FieldType.NUMBER, FieldType.VERSION)
}
NEEDED: Final = {
    "events": frozenset({"cursor", "type", "message_id"}),
    "messages": frozenset({"message_id", "from_agent", "to_json", "body", "created_at"}),
    "agents": frozenset({"id", "name", "last_seen"}),
}
"""What every file of the original has, of whatever age."""

NOT_TAKEN: Final[dict[str, tuple[str, frozenset[str], str]]] = {
    "contacts of agents that are not in the file": (
        "agent_contacts",
        frozenset({"agent_id"}),
        "SELECT count(*) FROM agent_contacts AS c WHERE NOT EXISTS (SELECT 1 FROM agents AS a WHERE a.id = c.agent_id)",
    ),
    "windows": ("window_identities", frozenset(), "SELECT count(*) FROM window_identities"),
    "pokes that nobody has seen": (
        "pending_pokes",
        frozenset({"surfaced_at"}),
        "SELECT count(*) FROM pending_pokes WHERE surfaced_at IS NULL",
    ),
}
"""By what a report calls it: the table, columns that it must have, and how many there are."""
