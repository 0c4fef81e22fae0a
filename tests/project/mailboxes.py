"""What is in an inbox, as several tests look at it."""

from handler_bench import Bench

from intermute.core.api.messages import Inbox, MessageView


def ids(bench: Bench, agent: str, *, since: int = 0, limit: int | None = None, unread: bool = False) -> list[str]:
    """Return the message ids of one inbox page."""
    return [m.id for m in bench.ask(Inbox(agent=agent, since_cursor=since, limit=limit, unread=unread)).messages]


def only(bench: Bench, agent: str) -> MessageView:
    """Return the one message of an inbox."""
    [message] = bench.inbox(agent).messages
    return message
