"""What agents do with their mail, as scripts: write, answer in threads, poll the inbox and acknowledge; and their sockets."""

import json
from typing import Any, Final

import trio

from loadtest.engine.connection import Broken, LoadFailed
from loadtest.engine.sockets import ABNORMAL, Sockets
from loadtest.scenarios.desk import Ask, Script, until_answered
from loadtest.scenarios.habits import Habits
from loadtest.scenarios.office import NAME, Office, Person

RECIPIENTS: Final = {1: 70, 3: 25, 10: 5}
"""To how many a new message goes, and in how many cases of 100. A guess: most is between two, some to a group."""
ANSWERS: Final = 0.6  # of messages are an answer in the last threads, if there are any. A guess.
TO_BE_ACKED: Final = 0.5  # of messages ask for an acknowledgement. A guess.
THREADS_KNOWN: Final = 5  # last threads in which an agent answers.
PAGE: Final = 50  # messages of one poll.
_BODY: Final = (
    "Please have a look at what I have changed there, and say so if it is in the way of what you are doing. " * 3
)
RECONNECT_EVERY_S: Final = 0.02
_GOING_AWAY: Final = 1001


class Correspondence(Habits):
    """The scripts of one connection's agents, those about mail among them."""

    def write(self) -> Script:
        """Answer somebody in a thread, or begin one."""
        office, person = self._office, self._someone()
        person.sent += 1
        message = f"{person.name}-{person.sent}"
        if person.threads and self._chance.random() < ANSWERS:
            thread, to = person.threads[-1][0], [person.threads[-1][1]]
        else:
            number = self._chance.choices(list(RECIPIENTS), list(RECIPIENTS.values()))[0]
            others = [other.id for other in office.people if other is not person]
            thread, to = f"thread-{message}", self._chance.sample(others, min(number, len(others)))
        fields = {
            "id": message,
            "from": person.id,
            "to": to,
            "thread_id": thread,
            "subject": f"about {message}",
            "body": _BODY,
            "ack_required": self._chance.random() < TO_BE_ACKED,
        }
        heard = [each for each in to if each in office.listening]
        at_s = office.site.now_s()
        office.mail.sending(at_s, person.name, message, str(fields["subject"]), to)
        office.pushed.sending(at_s, person.name, message, str(fields["subject"]), heard)
        # Under the same id it is stored once, however often it is sent.
        answer, told, _ = yield from until_answered(self._ask("send", "POST", "/api/messages", fields))
        answer.demand(200)
        office.mail.sent(told.answered_s, person.name, message)
        office.pushed.sent(told.answered_s, person.name, message)

    def poll(self) -> Script:
        """Read what is new in the inbox, mark it as read, and acknowledge what asks for it."""
        office, person = self._office, self._someone()
        told = yield poll_of(office, person)
        if told.answer is None:
            return
        for message in received(office, person, told.answer.demand(200).json(), told.answered_s):
            person.threads = [*person.threads[1 - THREADS_KNOWN :], (message["thread_id"], message["from"])]
            action = "ack" if message.get("ack_required") else "read"
            wanted = self._ask(action, "POST", f"/api/messages/{message['id']}/{action}", {"agent": person.id})
            answer, _, _ = yield from until_answered(wanted)
            answer.demand(200)
            if action == "ack":
                office.acked.append((message["id"], person.id))


def poll_of(office: Office, person: Person) -> Ask:
    """Return the request for what is new in an inbox."""
    after = office.mail.cursor_of(person.id)
    target = f"/api/inbox/{person.id}?project={office.project}&since_cursor={after}&limit={PAGE}"
    return Ask("inbox", office.site.request("GET", target))


def received(office: Office, person: Person, page: dict[str, Any], at_s: float) -> list[dict[str, Any]]:  # Any: JSON.
    """Hold a page of an inbox against what was sent; return the agents' own messages in it. Raises: Violation."""
    found = []
    for message in page["messages"]:
        if is_of_agent(message["id"]):
            office.mail.received(at_s, person.id, message["id"], message["subject"], message["cursor"])
            found.append(message)
        else:
            office.mail.passed(person.id, message["cursor"])
    return found


def is_of_agent(message: str) -> bool:
    """Tell whether an agent sent this; else it is the service's own word, about a task that was claimed."""
    return message.startswith(NAME)


class MailSocket:
    """One agent's socket, for its messages: hears of them while it is open, and goes on where it ended."""

    def __init__(self, office: Office, person: Person) -> None:
        self._office, self._person = office, person

    def hear(self, message: bytes, heard_s: float) -> None:
        """Take an event. Raises: Violation."""
        event, pushed, agent = json.loads(message), self._office.pushed, self._person.id
        if is_of_agent(event["message_id"]):
            pushed.received(heard_s, agent, event["message_id"], event["subject"], event["cursor"])
        else:
            pushed.passed(agent, event["cursor"])
        self._office.tell_news()

    def ended(self, code: int, reason: str) -> None:
        """Note that the service ended the socket; only one that is killed may."""
        if not self._office.site.has_faults or code not in (ABNORMAL, _GOING_AWAY):
            raise LoadFailed(f"the service ended the socket of {self._person.name} with {code} {reason!r}")

    async def listen(self) -> None:
        """Hear until it is cancelled. Raises: LoadFailed, Violation."""
        while True:
            after = self._office.pushed.cursor_of(self._person.id)
            target = (
                f"/ws/agents/{self._person.id}?project={self._office.project}&type=message.created&since_cursor={after}"
            )
            try:
                with Sockets(self._office.site) as sockets:
                    await sockets.open(target, self)
                    await sockets.run()
            except Broken:
                if not self._office.site.has_faults:
                    raise
            await trio.sleep(RECONNECT_EVERY_S)
