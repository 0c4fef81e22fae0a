"""The courier between a stored message and a terminal: in time, once, and noted (issue 6 point 3). Time is mocked."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from open_projects import DEMO, LOCAL, Service, serving
from trio.testing import MockClock

from intermute.core import limits
from intermute.core.api.agents import Heartbeat, RegisterAgent
from intermute.core.api.contacts import SetPolicy
from intermute.core.api.live import ListPokes, RegisterWindow
from intermute.core.api.messages import SendMessage, Sent
from intermute.core.errors import LiveDeliveryFailed
from intermute.core.once import Once, Reply
from intermute.store import events as event_rows
from intermute.store.connection import close, open_reader
from intermute.web.courier import Courier
from intermute.web.tmux import InjectionFailed
from supervisor import ChildSpec


class Terminals:
    """Stands for tmux: remembers what came in; each target does what the test says, if anything."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.doing: dict[str, Callable[[], Any]] = {}  # Any: something to await.
        self.ended: list[str] = []

    async def inject(self, target: str, text: str) -> None:
        """Take the text after doing what was said."""
        try:
            await self.doing.get(target, trio.lowlevel.checkpoint)()
            self.heard.append((target, text))
        finally:
            self.ended.append(target)


async def failing() -> None:
    """Fail as a terminal that is gone does."""
    raise InjectionFailed("can't find pane")


class Street:
    """A service with a courier, and some agents that wait at their prompts."""

    def __init__(self, service: Service, courier: Courier, terminals: Terminals) -> None:
        self.service, self.courier, self.terminals = service, courier, terminals

    async def move_in(self, *names: str) -> None:
        """Register agents, each at the prompt of a window that is called as it is."""
        for name in names:
            agent = await self.service.run(RegisterAgent(name=name))
            await self.service.run(SetPolicy(agent=name, live_contact_policy="open"))
            window = RegisterWindow(window_uuid=name, agent_id=name, tmux_target=name, registration_token=agent.token)
            await self.service.run(window)
            await self.service.run(Heartbeat(agent=name, focus_state="at-prompt"))

    async def send(
        self, *to: str, transport: str = "live", once: Once | None = None, **more: Any
    ) -> Any:  # Any: fields.
        """Send something from anna as the front does, and return the answer."""
        command = SendMessage(sender="anna", to=list(to), transport=transport, body="hi", **more)
        reply = await self.service.run(command, LOCAL, once)
        return await self.courier.deliver(DEMO, command, reply)

    async def pokes(self, agent: str) -> list[str]:
        """Return what waits to be shown to an agent."""
        return [each.message_id for each in (await self.service.run(ListPokes(agent=agent))).pokes]

    def told(self) -> list[tuple[str, str]]:
        """Return result and reason of the stored events about terminals."""
        connection = open_reader(self.service.registry.directory.path_of(DEMO))
        try:
            found = event_rows.after(connection, 0, 10_000)
        finally:
            close(connection)
        return [(each.data["result"], each.data["reason"]) for each in found if each.type == "peer.window_poke"]


@asynccontextmanager
async def street(root: Path, *, has_terminals: bool = True) -> AsyncIterator[Street]:
    """Serve with a courier for the length of the block."""
    async with serving(root) as service:
        terminals = Terminals()

        def log(event: str, **fields: object) -> None:
            service.log.append((event, fields))

        courier = Courier(service.registry, terminals if has_terminals else None, log)
        await service.supervisor.start(ChildSpec(name="courier", main=courier.run))
        made = Street(service, courier, terminals)
        await made.move_in("ben", "carl")
        yield made


async def test_live_message_comes_into_the_terminal(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Once, with its envelope, and the answer, the log and the list of pokes agree about it."""
    async with street(tmp_path) as place:
        sent = await place.send("ben", id="m1")

        assert sent.delivery == "injected"
        [(target, text)] = place.terminals.heard
        assert (target, text.count("\n")) == ("ben", 3)
        assert place.told() == [("injected", "")]
        assert (await place.send("ben", id="m1")).delivery == "injected"
        assert len(place.terminals.heard) == 1


async def test_message_is_stored_before_the_terminal_has_it(tmp_path: Path, autojump_clock: MockClock) -> None:
    """While the disk takes its time nothing is in any terminal (defect 41)."""
    async with street(tmp_path) as place, trio.open_nursery() as nursery:
        place.service.gate.shut()
        nursery.start_soon(place.send, "ben")
        await trio.testing.wait_all_tasks_blocked()
        assert place.terminals.heard == []

        place.service.gate.open()
        await trio.testing.wait_all_tasks_blocked()

        assert len(place.terminals.heard) == 1


async def test_failed_live_message_is_an_answer(tmp_path: Path, autojump_clock: MockClock) -> None:
    """503 says for whom it failed; nobody is shown it later, and it is not tried again under its id."""
    async with street(tmp_path) as place:
        place.terminals.doing["ben"] = failing

        for _ in range(2):
            with pytest.raises(LiveDeliveryFailed) as failed:
                await place.send("ben", "carl", id="m1")
            assert failed.value.details == {"delivery": {"ben": "failed", "carl": "injected"}}

        assert sorted(place.told()) == [("failed", "can't find pane"), ("injected", "")]
        assert (await place.pokes("ben"), len(place.terminals.ended)) == ([], 2)
        assert place.service.logged("live.failed")[0]["reason"] == "can't find pane"


async def test_failed_both_is_deferred(tmp_path: Path, autojump_clock: MockClock) -> None:
    """The message is in the inbox and waits to be shown."""
    async with street(tmp_path) as place:
        place.terminals.doing["ben"] = failing

        sent = await place.send("ben", "carl", "dora", transport="both", id="m1")

        assert (sent.delivery, sent.denied) == ({"ben": "deferred", "carl": "injected"}, ["dora"])
        assert (await place.pokes("ben"), await place.pokes("carl")) == (["m1"], [])


async def test_terminal_that_hangs_delays_nobody_beyond_its_time(tmp_path: Path, autojump_clock: MockClock) -> None:
    """The sender has its answer within two seconds, what hangs is cut off, and the other terminal has had its text."""
    async with street(tmp_path) as place:
        place.terminals.doing["ben"] = trio.sleep_forever
        began_s = trio.current_time()

        sent = await place.send("ben", "carl", transport="both")

        assert trio.current_time() - began_s == pytest.approx(limits.INJECT_WITHIN_S)
        assert sent.delivery == {"ben": "deferred", "carl": "injected"}
        assert place.terminals.ended == ["carl", "ben"]
        assert ("failed", "it took too long") in place.told()


async def test_result_that_cannot_be_stored_delays_nobody(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A disk that hangs after the terminal has the text holds the sender up for two seconds at most."""
    assert limits.INJECT_WITHIN_S + limits.NOTE_WITHIN_S < 2
    async with street(tmp_path) as place:

        async def hang() -> None:
            place.service.gate.shut()

        place.terminals.doing["ben"] = hang
        began_s = trio.current_time()

        sent = await place.send("ben", transport="both", id="m1")

        assert trio.current_time() - began_s == pytest.approx(limits.INJECT_WITHIN_S + limits.NOTE_WITHIN_S)
        assert sent.delivery == "injected"
        place.service.gate.open()


async def test_crowd_of_messages_is_turned_away_at_once(tmp_path: Path, autojump_clock: MockClock) -> None:
    """When all couriers are out and the waiting places are taken, the next one fails without waiting."""
    async with street(tmp_path) as place, trio.open_nursery() as nursery:
        place.terminals.doing["ben"] = trio.sleep_forever
        out = limits.INJECTIONS_AT_ONCE + limits.INJECTIONS_WAITING_MAX

        async def one(number: int) -> None:
            command = SendMessage(sender=f"s{number}", to=["ben"], transport="both")
            await place.courier.deliver(DEMO, command, await place.service.run(command))

        for number in range(out):
            nursery.start_soon(one, number)
        await trio.testing.wait_all_tasks_blocked()
        began_s = trio.current_time()

        await one(out)

        assert trio.current_time() == began_s
        assert place.told() == [("failed", "too many messages are on their way")]


async def test_message_that_waited_too_long_is_not_put_in(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Who had to wait for a courier beyond its time has been told that it failed: nothing comes into the terminal later."""
    async with street(tmp_path) as place, trio.open_nursery() as nursery:
        place.terminals.doing["ben"] = trio.sleep_forever
        for number in range(limits.INJECTIONS_AT_ONCE):
            command = SendMessage(sender=f"s{number}", to=["ben"], transport="both")
            nursery.start_soon(place.courier.deliver, DEMO, command, await place.service.run(command))
        await trio.testing.wait_all_tasks_blocked()

        with pytest.raises(LiveDeliveryFailed):
            await place.send("carl")

        assert place.terminals.heard == []


async def test_sender_that_hangs_up_changes_nothing(tmp_path: Path, autojump_clock: MockClock) -> None:
    """What is under way comes to its end and is noted, though nobody waits for the answer."""
    async with street(tmp_path) as place:
        place.terminals.doing["ben"] = partial(trio.sleep, 1)
        with trio.move_on_after(0.5):
            await place.send("ben")

        await trio.sleep(1)
        await trio.testing.wait_all_tasks_blocked()

        assert (len(place.terminals.heard), place.told()) == (1, [("injected", "")])


async def test_courier_that_crashes_comes_back(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A bug in one errand is an answer to its sender in time, and the next errand is run."""
    async with street(tmp_path) as place:

        async def crash() -> None:
            raise RuntimeError("a bug")

        place.terminals.doing["ben"] = crash
        with pytest.raises(LiveDeliveryFailed):
            await place.send("ben")

        assert (await place.send("carl")).delivery == "injected"


async def test_repeat_under_a_key_puts_nothing_in_again(tmp_path: Path, autojump_clock: MockClock) -> None:
    """The first answer tells the outcome; a later one under the same key is what was stored, and no terminal hears of it."""
    async with street(tmp_path) as place:
        command = SendMessage(sender="anna", to=["ben"], transport="live", body="hi")
        once = Once.of("k", LOCAL, command, lambda view: Reply(200, msgspec.json.encode(view)))

        first, again = [await place.send("ben", once=once) for _ in range(2)]

        assert [msgspec.json.decode(each.body, type=Sent).delivery for each in (first, again)] == [
            "injected",
            "injecting",
        ]
        assert (first.is_repeat, again.is_repeat, len(place.terminals.heard)) == (False, True, 1)


@pytest.mark.parametrize("transport", ["live", "both"])
@pytest.mark.parametrize("is_keyed", [True, False], ids=["under a key", "under an id"])
async def test_repeat_while_it_is_under_way_puts_nothing_in_again(
    tmp_path: Path, autojump_clock: MockClock, transport: str, is_keyed: bool
) -> None:
    """An impatient sender is answered at once, and the terminal has the message one time."""
    async with street(tmp_path) as place, trio.open_nursery() as nursery:
        place.terminals.doing["ben"] = partial(trio.sleep, 1)
        message_id = None if is_keyed else "m1"
        command = SendMessage(sender="anna", to=["ben"], transport=transport, body="hi", id=message_id)
        once = Once.of("k", LOCAL, command, lambda view: Reply(200, msgspec.json.encode(view))) if is_keyed else None
        send = partial(place.send, "ben", transport=transport, once=once, id=message_id)
        nursery.start_soon(send)
        await trio.sleep(0.5)
        began_s = trio.current_time()

        await send()

        assert trio.current_time() == began_s
        await trio.sleep(2)
        assert len(place.terminals.heard) == 1


async def test_without_a_terminal_nothing_is_reached(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A server that was told to put nothing into terminals says so at once, and both goes on to reach the inbox."""
    async with street(tmp_path, has_terminals=False) as place:
        with pytest.raises(LiveDeliveryFailed):
            await place.send("ben")

        assert (await place.send("ben", transport="both", id="m1")).delivery == "deferred"
        assert await place.pokes("ben") == ["m1"]
        assert place.told()[0] == ("failed", "this server has no way into a terminal")
