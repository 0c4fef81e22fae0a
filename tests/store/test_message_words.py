"""The index over the words of messages: it holds what the messages hold, whatever happens to them (migration 12)."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from stored_projects import START_US

from intermute.core.ids import AgentId, MessageId
from intermute.core.messages import Message
from intermute.store import messages, search
from intermute.store.connection import close, open_reader, open_writer
from intermute.store.migrate import known_migrations, migrate

BEFORE_THE_INDEX = 11


def letter(number: int, body: str, subject: str = "") -> Message:
    """Return a message."""
    return Message(
        id=MessageId(f"m{number}"), thread_id="", sender="anna", sender_id=AgentId("anna"), sender_verified=False,
        to=("ben",), cc=(), bcc=(), subject=subject, topic="", body=body, importance="", ack_required=False, metadata={},
        attachments=(), content_hash=b"", created_at_us=START_US, updated_at_us=None, cursor=number, first_cursor=number,
    )  # fmt: skip


def put(connection: apsw.Connection, message: Message) -> None:
    """Store a message, new or rewritten."""
    connection.execute(*messages.save(message))


def numbers(connection: apsw.Connection, word: str) -> list[int]:
    """Return which messages have a word."""
    return sorted(match.number for match in search.matches(connection, f'"{word}"', head=10**6))


def check(connection: apsw.Connection) -> None:
    """Compare the index with the messages, as SQLite does it; an error where they differ."""
    connection.execute("INSERT INTO message_words (message_words, rank) VALUES ('integrity-check', 1)")


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[apsw.Connection]:
    """A project's file, as the writer opens it."""
    opened = open_writer(tmp_path / "words.db")
    migrate(opened, START_US)
    yield opened
    close(opened)


def test_words_of_what_is_there_are_indexed_by_the_migration(tmp_path: Path) -> None:
    """A file from before finds its old messages, those with long gaps between their numbers as well."""
    opened = open_writer(tmp_path / "old.db")
    migrate(opened, START_US, known_migrations()[:BEFORE_THE_INDEX])
    for number in (1, 70, 3000):
        row = messages.save(letter(number, f"needle {number}"))
        sql = row.sql.replace(",\n    is_broadcast)", ")").replace(",\n    :is_broadcast)", ")")
        values = {name: value for name, value in row.values.items() if name != "is_broadcast"}
        opened.execute(sql.replace(", is_broadcast = excluded.is_broadcast", ""), values)

    migrate(opened, START_US)

    assert numbers(opened, "needle") == [1, 70, 3000]
    check(opened)
    close(opened)


def test_words_follow_their_message(connection: apsw.Connection) -> None:
    """Written, rewritten, deleted; and a change of anything else leaves the index alone."""
    put(connection, letter(1, "needle", "first"))
    put(connection, letter(2, "needle"))
    put(connection, letter(1, "thread", "first"))
    connection.execute("UPDATE messages SET importance = 'high' WHERE id = 'm2'")

    assert [numbers(connection, word) for word in ("needle", "thread", "first")] == [[2], [1], [1]]
    connection.execute("DELETE FROM messages WHERE id = 'm2'")
    assert numbers(connection, "needle") == []
    check(connection)


def test_words_stay_where_the_file_is_rewritten(connection: apsw.Connection, tmp_path: Path) -> None:
    """A copy made anew, in which rows have other places, finds the same messages."""
    for number in range(1, 50):
        put(connection, letter(number * 10, f"word{number}"))
    connection.execute("DELETE FROM messages WHERE first_cursor % 20 = 0")
    connection.execute("VACUUM INTO :path", {"path": str(tmp_path / "copy.db")})

    copy = open_writer(tmp_path / "copy.db")

    assert [numbers(copy, f"word{number}") for number in (1, 2, 49)] == [[10], [], [490]]
    check(copy)
    close(copy)


def test_words_are_as_lasting_as_their_message(connection: apsw.Connection) -> None:
    """What is rolled back is in neither."""
    put(connection, letter(1, "needle"))
    connection.execute("BEGIN")
    put(connection, letter(2, "needle"))
    connection.execute("ROLLBACK")

    assert numbers(connection, "needle") == [1]
    check(connection)


def test_words_are_found_by_a_connection_that_only_reads(tmp_path: Path) -> None:
    """A search is a read."""
    writer = open_writer(tmp_path / "words.db")
    migrate(writer, START_US)
    put(writer, letter(1, "a needle in a haystack"))
    reader = open_reader(tmp_path / "words.db")

    [match] = search.matches(reader, '"needle"', head=1)

    assert search.snippet(reader, match, '"needle"') == "a [needle] in a haystack"
    close(reader)
    close(writer)


def test_words_that_differ_are_seen(connection: apsw.Connection) -> None:
    """Control: a message that the index does not know of fails the comparison."""
    put(connection, letter(1, "needle"))
    connection.execute("DROP TRIGGER message_words_of_gone")
    connection.execute("DELETE FROM messages")

    with pytest.raises(apsw.CorruptError):
        check(connection)
