"""Finding messages on the wire. Source: issue 6 point 5."""

from typing import Annotated

from msgspec import Meta

from intermute.core import limits
from intermute.core.api.fields import ONE_LINE_WITH_TEXT, Identifier, Input, Limit, ProjectText, View


class SearchMessages(Input, kw_only=True, frozen=True):
    """Find messages by the words of their subjects and bodies, the best match first."""

    q: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=limits.SEARCH_CHARS_MAX,
            pattern=ONE_LINE_WITH_TEXT,
            description="What to look for: all of these words, in any order; words in double quotes stand together.",
        ),
    ]
    project: ProjectText | None = None
    limit: Limit | None = None
    cursor: Identifier | None = None


class FoundMessage(View, kw_only=True, frozen=True, rename={"sender": "from"}):
    """One message that matches; GET /api/messages/{id} has the whole of it.

    `snippet` is the part of its subject or body that matches best, with the matching words in [brackets].
    """

    id: str
    thread_id: str
    project: str
    sender: str
    subject: str | None = None
    topic: str | None = None
    snippet: str
    created_at: str
    cursor: int
    broadcast: bool = False


class SearchPage(View, kw_only=True, frozen=True):
    """A page of what was found. `is_cut` says that more matched than are ranked, and these are the best of the newest."""

    messages: list[FoundMessage]
    next_cursor: str | None = None
    is_cut: bool = False
