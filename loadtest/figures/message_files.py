"""A file of a project with many messages, written before the service starts: over HTTP that would take minutes.

Words are drawn as in a language: the second is half as frequent as the first, and so on. Beside `task_files` the one place
where the load test writes what the service reads; nothing here is measured.
"""

import random
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Final

from intermute.core.api.messages import SendMessage
from intermute.core.ids import AgentId, MessageId, Micros, ProjectName
from intermute.core.messages import Message, content_hash, recipients_of
from intermute.store import messages as rows
from intermute.store import projects
from intermute.store.chain import GENESIS
from intermute.store.connection import open_writer
from intermute.store.directory import DataDirectory
from intermute.store.migrate import migrate

VOCABULARY: Final = tuple(f"word{rank}" for rank in range(5000))
COMMON: Final = VOCABULARY[0]
"""A word that nearly every message has."""
_STOP_WORDS: Final = 20  # of the most frequent ones, which nobody looks for.
_BODY_WORDS: Final = 40
_SUBJECT_WORDS: Final = 6
_START_US: Final = Micros(1_700_000_000_000_000)


def texts(count: int, seed: int) -> Iterator[tuple[str, str]]:
    """Yield the subject and the body of every message; the same ones for the same seed."""
    pick = random.Random(seed)
    weights = list(accumulate(1 / (rank + 1) for rank in range(len(VOCABULARY))))
    for _ in range(count):
        words = pick.choices(VOCABULARY, cum_weights=weights, k=_SUBJECT_WORDS + _BODY_WORDS)
        yield " ".join(words[:_SUBJECT_WORDS]), " ".join(words[_SUBJECT_WORDS:])


def searches(count: int, seed: int) -> list[str]:
    """Return what somebody may look for in these messages: one word, two words of one message, or three that stand together."""
    pick = random.Random(seed + 1)
    found = []
    for number, (_, body) in enumerate(texts(count, seed)):
        words = [word for word in body.split() if word not in VOCABULARY[:_STOP_WORDS]]
        if number % 3 == 0:
            found.append(pick.choice(words))
        elif number % 3 == 1:
            found.append(" ".join(pick.sample(words, 2)))
        else:
            at = pick.randrange(_BODY_WORDS - 3)
            found.append('"' + " ".join(body.split()[at : at + 3]) + '"')
    return found


def write_messages(data: Path, name: str, count: int, seed: int) -> None:
    """Write a project in which agents have written to one another so many times."""
    root = DataDirectory(data)
    root.prepare()
    connection = open_writer(root.path_of(ProjectName(name)))
    try:
        migrate(connection, _START_US)
        with connection:
            projects.create(connection, ProjectName(name), _START_US)
            for number, (subject, body) in enumerate(texts(count, seed), 1):
                command = SendMessage(sender=f"a{number % 50}", to=[f"a{number % 49}"], subject=subject, body=body)
                message = _message(command, number)
                for statement in (rows.save(message), *rows.deliver(message, recipients_of(command, AgentId))):
                    connection.execute(*statement)
            connection.execute(*projects.advance(count, 1, Micros(_START_US + count), GENESIS))
    finally:
        connection.close()


def _message(command: SendMessage, number: int) -> Message:
    return Message(
        id=MessageId(f"message-{number}"),
        thread_id="",
        sender=command.sender,
        sender_id=AgentId(command.sender),
        sender_verified=False,
        to=tuple(command.to),
        cc=(),
        bcc=(),
        subject=command.subject or "",
        topic="",
        body=command.body or "",
        importance="",
        ack_required=False,
        metadata={},
        attachments=(),
        content_hash=content_hash(command),
        created_at_us=Micros(_START_US + number),
        updated_at_us=None,
        cursor=number,
        first_cursor=number,
    )
