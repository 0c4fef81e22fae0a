"""The demo's three agents. Each knows only its errand and what the service tells it; nobody directs them.

Two writers want the same file and start at the same moment, so the service decides who is first; the third follows the
log, meets a conflict between patterns, and works elsewhere.
"""

import time
from datetime import datetime
from typing import Any, Final

import trio

from intermute.cli.demo_client import CallFailed, Client, Reply
from intermute.cli.demo_files import Stakes
from intermute.cli.demo_stage import Stage

TTL_MINUTES: Final = 5
WAIT_S: Final = 30.0  # seconds of one long poll; well over the time for which anybody in the demo holds a file.
THREAD: Final = "who-is-next"


class Agent:
    """One agent: what it may say to the service, and what it tells the audience of it."""

    def __init__(self, name: str, client: Client, stage: Stage) -> None:
        self.name, self._client, self._stage = name, client, stage
        self._id = ""
        self._cursor = 0

    async def join(self, errand: str) -> None:
        """Register."""
        reply = await self._expect("POST", "/api/agents", {"name": self.name})
        self._id, self._cursor = reply.body["agent_id"], reply.body["cursor"]
        await self._say("joins", errand, reply)

    async def leave(self) -> None:
        """Deregister, which releases whatever is still held."""
        reply = await self._expect("DELETE", f"/api/agents/{self._id}")
        await self._say("leaves", f"done; leaving gave {len(reply.body['released'])} reservation back", reply)

    async def reserve(self, fields: dict[str, object], reason: str) -> Reply:
        """Ask for a path; the answer is a grant (201) or a refusal with every conflict (409)."""
        wish = {"agent_id": self._id, "ttl_minutes": TTL_MINUTES, "reason": reason, **fields}
        reply = await self._client.call("POST", "/api/reservations", wish)
        if reply.status not in (201, 409):
            raise CallFailed(f"{reply.call}: {reply.body.get('message')}")
        return reply

    async def tell_grant(self, reply: Reply, remark: str) -> None:
        """Tell the audience of a grant."""
        view = reply.body
        await self._say(
            "GRANTED", f"{view['path_pattern']} for {TTL_MINUTES} min, fence {view['fence']}{remark}", reply
        )

    async def tell_conflict(self, reply: Reply) -> None:
        """Tell the audience of a refusal."""
        clash = reply.body["conflicts"][0]
        asked, example = clash["requested"]["target"], clash["example"]
        is_the_same = asked == clash["pattern"] == example
        where = "" if is_the_same else f", example path {example}"
        text = f'{asked}: held by {clash["held_by"]} ("{clash["reason"]}"){where}'
        await self._stage.say_refused(self.name, text, reply.call)

    async def ask(self, other: str, text: str) -> None:
        """Write to another agent and ask for an acknowledgement."""
        letter = {"from": self.name, "to": [other], "thread_id": THREAD, "body": text, "ack_required": True}
        reply = await self._expect("POST", "/api/messages", letter)
        await self._say("writes", f'to {other}, thread {THREAD}: "{text}"', reply)

    async def answer_question(self, text: str) -> None:
        """Wait for a message, acknowledge it and answer in its thread."""
        await self._next_event("message.created")
        inbox = await self._expect("GET", f"/api/inbox/{self._id}", {"unread": "true"})
        message = inbox.body["messages"][0]
        await self._expect("POST", f"/api/messages/{message['id']}/ack", {"agent": self._id})
        call = "POST /api/messages/{id}/ack 200"
        await self._say("reads", f"the inbox, and acknowledges the message of {message['from']}", call)
        letter = {"from": self.name, "to": [message["from"]], "thread_id": message["thread_id"], "body": text}
        reply = await self._expect("POST", "/api/messages", letter)
        await self._say("answers", f'in the thread: "{text}"', reply)

    async def wait_for_release(self, refusal: Reply) -> None:
        """Wait, without polling, until what was in the way has been released."""
        path = refusal.body["conflicts"][0]["pattern"]
        await self._say("waits", f"for the event reservation.released of {path}, without polling", "GET /api/events")
        in_the_way = {conflict["reservation_id"] for conflict in refusal.body["conflicts"]}
        while in_the_way:
            event = await self._next_event("reservation.released")
            in_the_way.discard(event["reservation_id"])
        late_ms = (time.time() - datetime.fromisoformat(event["created_at"]).timestamp()) * 1000
        text = f"hears, {max(late_ms, 0.1):.1f} ms after the release, that {event['held_by']} let go of {path}"
        await self._say("HAND-OVER", text, "GET /api/events 200")

    async def watch_first_grant(self) -> None:
        """Wait until anybody holds anything."""
        await self._next_event("reservation.created")

    async def release(self, reservation: Reply) -> None:
        """Give a reservation back."""
        view = reservation.body
        path = f"/api/reservations/{view['id']}"
        # Told before it is done: whoever waits for it hears it within milliseconds, and tells so.
        await self._say("releases", f"{view['path_pattern']}: edited, tested, done", "DELETE /api/reservations/{id}")
        await self._expect("DELETE", path, {"agent_id": self._id})

    async def _next_event(self, kind: str) -> dict[str, Any]:  # Any: fields of the event's type; docs/api.md.
        """Return the next event of this type that concerns this agent, however long the log is."""
        while True:
            query = {"since_cursor": self._cursor, "type": kind, "agent": self._id, "limit": 1, "wait_seconds": WAIT_S}
            page = await self._expect("GET", "/api/events", query, wait_s=WAIT_S)
            self._cursor = page.body["cursor"]
            for event in page.body["events"]:
                found: dict[str, Any] = event  # Any: as above.
                return found

    async def _expect(
        self, method: str, path: str, fields: dict[str, object] | None = None, *, wait_s: float = 0
    ) -> Reply:
        reply = await self._client.call(method, path, fields, wait_s=wait_s)
        if reply.status not in (200, 201):
            raise CallFailed(f"{reply.call}: {reply.body.get('message')}")
        return reply

    async def _say(self, mark: str, text: str, source: Reply | str) -> None:
        call = source if isinstance(source, str) else source.call.replace(self._id, "{id}") if self._id else source.call
        await self._stage.say(self.name, mark, text, call)


async def write(
    agent: Agent, stakes: Stakes, errand: str, start: trio.Event, joined: trio.MemorySendChannel[str]
) -> None:
    """Edit the file: at once if it is free, else ask the holder, wait for it and go on."""
    await agent.join(f"to {errand} in {stakes.file}")
    await joined.send(agent.name)
    await start.wait()
    answer = await agent.reserve({"path": stakes.file}, errand)
    if answer.status == 201:
        await agent.tell_grant(answer, ": first come, first served")
        await agent.answer_question("Two minutes. You will hear it when I let go.")
    else:
        while answer.status == 409:
            await agent.tell_conflict(answer)
            await agent.ask(answer.body["conflicts"][0]["held_by"], f"I need {stakes.file} next. How long?")
            await agent.wait_for_release(answer)
            answer = await agent.reserve({"path": stakes.file}, errand)
        await agent.tell_grant(answer, ": its turn now")
    await agent.release(answer)


async def roam(
    agent: Agent, stakes: Stakes, errand: str, start: trio.Event, joined: trio.MemorySendChannel[str]
) -> None:
    """Want a whole directory; where that is taken, do not wait but work elsewhere."""
    await agent.join(f"to {errand} in {stakes.glob}")
    await joined.send(agent.name)
    await start.wait()
    await agent.watch_first_grant()
    answer = await agent.reserve({"pattern": stakes.glob}, errand)
    if answer.status == 409:
        await agent.tell_conflict(answer)
        answer = await agent.reserve({"pattern": stakes.elsewhere}, errand)
    await agent.tell_grant(answer, ": works there meanwhile")
    await agent.leave()
