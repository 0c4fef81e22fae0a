"""`mixed`, its scripts and the checker of messages: what is delivered twice, wrongly or not at all is found."""

from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from answers import answer, silent_site
from server_process import ServerProcess
from tiny_runs import tiny_run

from loadtest.engine.connection import Connection
from loadtest.engine.site import Site
from loadtest.promises.delivered_once import DeliveredOnce
from loadtest.promises.history import History, Violation
from loadtest.scenarios.correspondence import Correspondence
from loadtest.scenarios.desk import Ask, Desk, Pause, Script, Told, until_answered
from loadtest.scenarios.mixed import Mixed, day
from loadtest.scenarios.office import Office
from loadtest.scenarios.office_checks import demand_day

GRANTED = {"id": "r-1"}
FREE = {"conflict": False}


class StillSite(Site):
    """A site whose clock stands until it is set."""

    clock_s = 0.0

    def now_s(self) -> float:
        """Return the time that was set."""
        return self.clock_s


@pytest.fixture
def mail() -> DeliveredOnce:
    """A checker that knows a message from anna to ben and carl, which ben has received."""
    made = DeliveredOnce(History(), "inbox")
    made.sending(1, "anna", "m", "hello", ["ben", "carl"])
    made.sent(2, "anna", "m")
    made.received(3, "ben", "m", "hello", 7)
    return made


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """Two agents, at a service that does what the test says."""
    made = Office(silent_site(tmp_path), "p", 2)
    for person in made.people:
        person.id = f"id-{person.number}"
    return made


def test_mixed_finds_nothing_wrong_with_the_service(server: ServerProcess, tmp_path: Path) -> None:
    """The scenario runs to its end and has measured what its targets are about, with five promises in view."""
    scenario = Mixed()

    site, samples = tiny_run(scenario, server, tmp_path)

    assert {wanted.measure for wanted in scenario.targets} <= site.measures.keys()
    assert all(samples.times_ms(operation, "closed") for operation in ("check", "reserve"))
    assert 0 <= site.measures["day: share of checked files that are held"].values[0] <= 1
    assert len(site.watch.checked()) == 5


def test_day_is_lived_by_everyone(server: ServerProcess, tmp_path: Path) -> None:
    """Each script of a day, played to its end by each agent, leaves the service as it was told."""
    site = silent_site(tmp_path)
    site.port = server.port

    office = trio.run(_lived, site)

    assert all(checker.checked for checker in (office.holders, office.kept, office.claims, office.mail))
    assert office.acked


def test_messages_that_arrive_once_are_right(mail: DeliveredOnce) -> None:
    """Everyone has received it; one without an answer may have been stored or not."""
    mail.received(4, "carl", "m", "hello", 8)
    mail.sending(5, "anna", "n", "unsure", ["ben"])

    mail.demand()

    assert mail.cursor_of("ben") == 7
    assert mail.checked == 4


def _again(mail: DeliveredOnce) -> None:
    mail.received(4, "ben", "m", "hello", 8)


def _out_of_order(mail: DeliveredOnce) -> None:
    mail.sending(4, "anna", "n", "second", ["ben"])
    mail.received(5, "ben", "n", "second", 6)


def _to_somebody_else(mail: DeliveredOnce) -> None:
    mail.received(4, "dora", "m", "hello", 8)


def _from_nobody(mail: DeliveredOnce) -> None:
    mail.received(4, "ben", "x", "hello", 8)


def _otherwise_than_sent(mail: DeliveredOnce) -> None:
    mail.received(4, "carl", "m", "goodbye", 8)


def _not_at_all(mail: DeliveredOnce) -> None:
    mail.demand()


@pytest.mark.parametrize(
    "lie", [_again, _out_of_order, _to_somebody_else, _from_nobody, _otherwise_than_sent, _not_at_all]
)
def test_message_that_goes_astray_is_found(mail: DeliveredOnce, lie: Callable[[DeliveredOnce], None]) -> None:
    """Control: each is told by the name of the promise."""
    with pytest.raises(Violation, match="every message is delivered once"):
        lie(mail)


def test_missing_message_is_told_with_its_history(mail: DeliveredOnce) -> None:
    """Control: who sent it to whom, and who has received it, is printed."""
    with pytest.raises(Violation) as broken:
        mail.demand()

    assert "m (carl)" in broken.value.explanation
    assert any("anna" in line and "sends it to ben, carl" in line for line in broken.value.history)


def test_desk_follows_what_is_due_first(tmp_path: Path) -> None:
    """A script that pauses lets others begin, and goes on before the next begins once its time has come."""
    site = StillSite(port=1, seed=7, is_quick=True, directory=tmp_path)
    names = iter("abcdef")

    def script() -> Script:
        name = next(names)
        yield Ask(f"{name}1", b"")
        yield Pause(1.0)
        yield Ask(f"{name}2", b"")

    desk = Desk(site, site.rng("x"), {script: 1.0})
    asked = []
    for clock_s in (0.0, 0.5, 1.0, 1.1, 1.5):
        site.clock_s = clock_s
        asked.append(desk.ask()[0])
        desk.take(answer(200, {}), clock_s, clock_s)

    assert asked == ["a1", "b1", "a2", "c1", "b2"]


def test_desk_asks_again_until_there_is_an_answer(tmp_path: Path) -> None:
    """A script that may repeat a request is asked for the same one, and hears that it was not the first time."""
    site = silent_site(tmp_path)
    heard: list[tuple[int, bool]] = []

    def script() -> Script:
        found, _, is_again = yield from until_answered(Ask("again", b"request"))
        heard.append((found.status, is_again))

    desk = Desk(site, site.rng("x"), {script: 1.0})
    for _ in range(2):
        assert desk.ask() == ("again", b"request")
        desk.lose(0.0, 0.0)
    desk.ask()
    desk.take(answer(204, {}), 0.0, 0.0)

    assert heard == [(204, True)]


def test_file_that_is_granted_twice_is_found(office: Office) -> None:
    """Control: a service that grants one file to two agents is caught when the second answer is read."""
    first, second = (_habits(office, number).edit(150.0) for number in range(2))
    office.paths[:] = ["src/hot.py"] * len(office.paths)  # Both want the same.

    _follow(first, answer(200, FREE), answer(201, GRANTED))

    with pytest.raises(Violation, match="never two holders at once") as broken:
        _follow(second, answer(200, FREE), answer(201, {"id": "r-2"}))
    assert any("agent-0" in line for line in broken.value.history)


def test_task_that_is_given_twice_is_found(office: Office) -> None:
    """Control: a service that gives one task to two agents is caught when the second answer is read."""
    first, second = (_habits(office, number).task(600.0) for number in range(2))

    _follow(first, answer(200, {"id": "t", "agent": "id-0"}))

    with pytest.raises(Violation, match="every task is claimed once"):
        _follow(second, answer(200, {"id": "t", "agent": "id-1"}))


def test_inbox_that_shows_a_message_twice_is_found(office: Office) -> None:
    """Control: the second poll brings what the first has brought, under another cursor."""
    message = {"id": "agent-0-1", "subject": "about it", "thread_id": "x", "from": "id-0"}
    office.mail.sending(1, "agent-0", "agent-0-1", "about it", ["id-1"])
    habits = _habits(office, 1)

    _follow(habits.poll(), answer(200, {"messages": [{**message, "cursor": 7}]}))

    with pytest.raises(Violation, match="every message is delivered once"):
        _follow(habits.poll(), answer(200, {"messages": [{**message, "cursor": 8}]}))


def test_day_begins_everything(office: Office) -> None:
    """Every script of a day begins with a request."""
    for begin in day(_habits(office, 0)):
        assert isinstance(next(begin()), Ask)


def _habits(office: Office, number: int) -> Correspondence:
    return Correspondence(office, [office.people[number]], office.site.rng("habits", number), 100.0)


def _follow(script: Script, *answers: object) -> None:
    next(script)
    for found in answers:
        script.send(Told(found, 1.0, 2.0))  # type: ignore[arg-type] # an Answer each.


async def _lived(site: Site) -> Office:
    office = Office(site, "lived", 3)
    await office.register(listeners=0)
    days = [day(_habits(office, person.number)) for person in office.people]
    connection = await site.connect()
    try:
        for scripts in days * 5:
            for begin in scripts:
                await _play(begin(), connection)
    finally:
        connection.close()
    await demand_day(site, office, [])
    return office


async def _play(script: Script, connection: Connection) -> None:
    """Play a script to its end; pauses take no time."""
    step = next(script)
    while True:
        told = Told(None if isinstance(step, Pause) else await connection.call(step.request), 1.0, 2.0)
        try:
            step = script.send(told)
        except StopIteration:
            return
