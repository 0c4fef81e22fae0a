"""Messages, threads and the inbox."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from intermute.client.calls import Calls
from intermute.core.api import messages as api


class Messages:
    """What agents say to each other."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def send(self, to: str | Sequence[str], body: str, **fields: Any) -> api.Sent:
        """Put a message into the inboxes of its recipients; it is stored once, however often it had to be sent.

        `fields` are those of `SendMessage` (Any: as it has them).
        """
        recipients = [to] if isinstance(to, str) else list(to)
        return await self._calls.call(
            api.SendMessage(**{"sender": self._calls.agent, "to": recipients, "body": body, **fields}), api.Sent
        )

    async def reply(self, message: api.MessageView, body: str, **fields: Any) -> api.Sent:
        """Answer the sender of a message in its thread; `fields` as in `send` (Any: as above)."""
        to = message.sender_id or message.sender
        return await self.send(to, body, **{"thread_id": message.thread_id, "subject": message.subject, **fields})

    async def get(self, message_id: str) -> api.MessageView:
        """Return one message."""
        return await self._calls.call(api.GetMessage(message_id=message_id), api.MessageView)

    async def mark_read(self, message_id: str) -> api.Marked:
        """Say that the agent has read a message."""
        return await self._calls.call(api.ReadMessage(message_id=message_id, agent=self._calls.agent), api.Marked)

    async def acknowledge(self, message_id: str) -> api.Marked:
        """Say that the agent has taken note of a message."""
        return await self._calls.call(api.AckMessage(message_id=message_id, agent=self._calls.agent), api.Marked)

    async def recipients(self, message_id: str) -> api.RecipientList:
        """Return who received a message, and who has read or acknowledged it."""
        return await self._calls.call(api.MessageRecipients(message_id=message_id), api.RecipientList)


class Inbox:
    """The messages to the agent that the client is. Fetching marks nothing."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def page(self, since_cursor: int | None = None, **fields: Any) -> api.MessagePage:
        """Return a page after a cursor, the oldest first; `fields` are those of `Inbox` (Any: as it has them)."""
        question = api.Inbox(**{"agent": self._calls.agent, "since_cursor": since_cursor, **fields})
        return await self._calls.call(question, api.MessagePage)

    async def messages(self, since_cursor: int | None = None, **fields: Any) -> AsyncIterator[api.MessageView]:
        """Yield all messages after a cursor, page by page; `fields` as in `page` (Any: as there)."""
        while True:
            page = await self.page(since_cursor, **fields)
            for message in page.messages:
                yield message
            if not page.messages or page.cursor == since_cursor:
                return
            since_cursor = page.cursor

    async def counts(self) -> api.Counts:
        """Return how many messages there are, how many unread, and how many to be acknowledged."""
        return await self._calls.call(api.InboxCounts(agent=self._calls.agent), api.Counts)

    async def stale_acknowledgements(self, **fields: Any) -> api.StaleAckPage:
        """Return what should have been acknowledged; `fields` are those of `StaleAcks` (Any: as it has them)."""
        return await self._calls.call(api.StaleAcks(**{"agent": self._calls.agent, **fields}), api.StaleAckPage)


class Threads:
    """Conversations."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def list(self, **fields: Any) -> api.ThreadList:
        """Return the agent's threads, the most recent first; `fields` are those of `Threads` (Any: as it has them)."""
        return await self._calls.call(api.Threads(**{"agent": self._calls.agent, **fields}), api.ThreadList)

    async def read(self, thread_id: str, **fields: Any) -> api.ThreadPage:
        """Return a thread in the order it was written; `fields` are those of `Thread` (Any: as it has them)."""
        return await self._calls.call(api.Thread(thread_id=thread_id, **fields), api.ThreadPage)
