"""Finding messages: by their topic, and by their words.

Who may find what: an agent that proved itself finds what it sent or received, what was said in threads that it takes part
in, and what went to everybody; any other caller finds all messages of the project, as it can read all inboxes. Nobody finds
out by this who was copied blindly.
"""

import apsw

from intermute.core import limits
from intermute.core.api.broadcasts import Topic
from intermute.core.api.messages import MessagePage
from intermute.core.api.search import FoundMessage, SearchMessages, SearchPage
from intermute.core.ids import AgentId, ProjectName
from intermute.core.messages import normal_topic
from intermute.core.pages import page_size
from intermute.core.search import Place, phrases
from intermute.core.times import rfc3339
from intermute.project.handlers.inbox import message_view, place
from intermute.project.transaction import Desk, FromStore
from intermute.store import search as index
from intermute.store import topics


def _finder(desk: Desk) -> tuple[AgentId | None, str | None]:
    """Return the id and the name of the agent that may find its own messages only, or None for who may find all."""
    identity = desk.identity()
    if not identity.is_verified or identity.address is None:
        return None, None
    return identity.address, desk.state.agents.name_of(identity.address)


def topic(query: Topic, desk: Desk) -> FromStore[MessagePage]:
    """Return what was said on a topic after a cursor, the oldest first."""
    reader, name = _finder(desk)
    wanted, cursor = normal_topic(query.topic), place(query.since_cursor)
    limit = page_size(query.limit, limits.PAGE_DEFAULT)

    def work(connection: apsw.Connection) -> MessagePage:
        found, reached = topics.page(connection, wanted, reader=reader, name=name, cursor=cursor, limit=limit)
        return MessagePage(messages=[message_view(each, None, desk) for each in found], cursor=reached)

    return FromStore(work)


def search_messages(query: SearchMessages, desk: Desk) -> FromStore[SearchPage]:
    """Return the messages in which all words occur, the best match first."""
    reader, name = _finder(desk)
    words = phrases(query.q)
    start = Place.read(query.cursor) if query.cursor else Place(desk.state.stored_head, 0)
    limit = min(page_size(query.limit, limits.SEARCH_DEFAULT), limits.SEARCH_PAGE_MAX)

    def work(connection: apsw.Connection) -> SearchPage:
        matches = index.matches(connection, words, head=start.head)
        shown: list[FoundMessage] = []
        passed = start.skip  # Matches looked at so far, those that the reader may not find among them.
        for match in matches[start.skip :]:
            if len(shown) == limit:
                break
            passed += 1
            if (found := index.visible(connection, match, reader, name)) is not None:
                shown.append(_found(found, index.snippet(connection, match, words), desk.project))
        return SearchPage(
            messages=shown,
            next_cursor=Place(start.head, passed).write() if passed < len(matches) else None,
            is_cut=len(matches) == limits.SEARCH_MATCHES_MAX,
        )

    return FromStore(work)


def _found(found: index.Found, snippet: str, project: ProjectName) -> FoundMessage:
    return FoundMessage(
        id=found.id,
        thread_id=found.thread_id,
        project=project,
        sender=found.sender,
        subject=found.subject or None,
        topic=found.topic or None,
        snippet=snippet,
        created_at=rfc3339(found.created_at_us),
        cursor=found.cursor,
        broadcast=bool(found.is_broadcast),
    )
