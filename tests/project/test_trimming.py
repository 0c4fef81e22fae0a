"""Trimming the log: readers get exactly the rest or are told, and nothing but events goes (guarantees.md G11)."""

import gzip
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from faulty_vfs import faulty_disk
from open_projects import DEMO, LOCAL, Service, serving, stored_row
from pytest import raises
from trio.testing import MockClock

from intermute.core import limits
from intermute.core.agents import Caller, hash_of_token
from intermute.core.api.agents import RegisterAgent
from intermute.core.api.audit import ListAudit
from intermute.core.api.messages import AckMessage, Inbox, ReadMessage, SendMessage
from intermute.core.api.reservations import ListReservations, ReleaseReservation, Reserve
from intermute.core.api.settings import ChangeSettings, GetSettings
from intermute.core.errors import AgentIdentityMismatch, CursorExpired, InvalidRequest, StorageUnavailable
from intermute.core.events import Event, EventType
from intermute.core.retention import RetentionRule, oldest_cursor, types_by_rule
from intermute.project.retention import preview, trim, trimmer
from intermute.store.archive import directory_of

ALL = (RetentionRule(keep_events=0),)
READS = frozenset({"message.read"})
DAY_S = 24 * 60 * 60


async def log_of(service: Service, since: int = 0, types: frozenset[str] | None = None) -> list[Event]:
    """Return all events after a cursor, as a reader of these types gets them, page by page."""
    found: list[Event] = []
    cursor = since
    while page := await service.project.events_after(cursor, 7, types):
        found += [event for event in page if types is None or event.type in types]
        cursor = page[-1].cursor
    return found


async def work(service: Service, rounds: int, seed: int = 1) -> None:
    """Let two agents do this and that."""
    chance = random.Random(seed)
    await service.run(RegisterAgent(name="anna"))
    for number in range(rounds):
        sent = await service.run(SendMessage(sender="anna", to=["ben"], body=f"{seed}.{number}"))
        if chance.random() < 0.5:
            await service.run(ReadMessage(message_id=sent.message_id, agent="ben"))
        if chance.random() < 0.3:
            await service.run(AckMessage(message_id=sent.message_id, agent="ben"))
        if chance.random() < 0.3:
            held = await service.run(Reserve(agent_id="anna", path_pattern=f"src/{seed}/{number}"))
            await service.run(ReleaseReservation(reservation_id=held.id, agent_id="anna"))


def files_in(root: Path) -> list[Path]:
    """Return all files below a directory."""
    return sorted(root.rglob("*"))


def archived(service: Service) -> list[dict[str, Any]]:
    """Return the lines of all archive files, in the order of their cursors; each event once."""
    lines = {}
    for path in sorted(directory_of(service.project.path).glob("*.jsonl.gz")):
        for line in gzip.decompress(path.read_bytes()).splitlines():
            fields = msgspec.json.decode(line)
            lines[fields["cursor"]] = fields
    return [lines[cursor] for cursor in sorted(lines)]


@pytest.mark.parametrize("seed", range(8))
async def test_trimmed_log_gives_exactly_the_rest_or_says_so(
    tmp_path: Path, autojump_clock: MockClock, seed: int
) -> None:
    """After any trims, from every cursor and for any types: what was ever logged after it, or the oldest cursor."""
    chance = random.Random(seed)
    ever: dict[int, str] = {}
    async with serving(tmp_path) as service:
        for step in range(4):
            await work(service, 12, seed * 10 + step)
            ever |= {event.cursor: event.type for event in await log_of(service, max(ever, default=0))}
            kinds = chance.sample(["message.*", "message.read", "reservation.created", "*", "agent.*"], 2)
            rules = [RetentionRule(kind=kind, keep_events=chance.randrange(20)) for kind in kinds]
            await trim(service.project, rules, archives=chance.random() < 0.5)
            ever |= {event.cursor: event.type for event in await log_of(service, max(ever))}
            if chance.random() < 0.5:
                await service.stop_project()
                await service.run(GetSettings(project=DEMO))

            for types in (None, READS, frozenset({"reservation.created", "message.created"})):
                oldest = await service.project.oldest_cursor(types)
                for since in range(max(ever) + 2):
                    expected = [c for c, t in ever.items() if c > since and (types is None or t in types)]
                    if since < oldest:
                        with raises(CursorExpired) as refused:
                            await service.project.events_after(since, 100, types)
                        assert refused.value.oldest_cursor == oldest
                    else:
                        assert [event.cursor for event in await log_of(service, since, types)] == expected
                # The oldest cursor is not too high either: the event at it is one that is really gone.
                assert oldest == 0 or types is None or ever[oldest] in types


async def test_trim_of_one_kind_leaves_readers_of_others_alone(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Who reads only messages does not hear that old readings of them are gone."""
    async with serving(tmp_path) as service:
        await work(service, 20)
        before = await log_of(service, 0, frozenset({"message.created"}))

        await trim(service.project, [RetentionRule(kind="message.read", keep_events=2)], archives=False)

        assert await log_of(service, 0, frozenset({"message.created"})) == before
        with raises(CursorExpired):
            await service.project.events_after(0, 10, READS)
        with raises(CursorExpired):
            await service.project.events_after(0, 10, None)


async def test_trim_touches_events_only(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Inbox, reservations, settings, head and fences are what they were, also after a restart; cursors go on."""
    async with serving(tmp_path) as service:
        await work(service, 10)
        await service.run(Reserve(agent_id="anna", path_pattern="kept"))
        head = service.project.hub.head
        asked = (Inbox(agent="ben", since_cursor=3), ListReservations(agent="anna"), GetSettings(project=DEMO))
        before = [await service.run(each) for each in asked]

        await trim(service.project, ALL, archives=False)
        assert [await service.run(each) for each in asked] == before
        await service.stop_project()

        again = [await service.run(each) for each in asked]
        assert again[0] == before[0]
        assert [each.id for each in again[1].reservations] == [each.id for each in before[1].reservations]
        assert (await service.run(SendMessage(sender="anna", to=["ben"], body="next"))).cursor == head + 2


async def test_trim_archives_what_goes(tmp_path: Path, autojump_clock: MockClock) -> None:
    """The archive and the rest together are the whole log; files and directories are for their owner only."""
    async with serving(tmp_path) as service:
        await work(service, 15)
        whole = await log_of(service)

        done = await trim(service.project, [RetentionRule(keep_events=5)], archives=True)

        rest = await log_of(service, await service.project.oldest_cursor(None))
        assert [line["cursor"] for line in archived(service)] + [event.cursor for event in rest] == [
            event.cursor for event in whole
        ] + [rest[-1].cursor]
        assert [(line["type"], line["data"], line["project"]) for line in archived(service)] == [
            (event.type, event.data, DEMO) for event in whole[:-5]
        ]
        directory = directory_of(service.project.path)
        assert done.archives == [path.name for path in directory.iterdir()]
        assert [path.stat().st_mode & 0o777 for path in (directory.parent, directory, *directory.iterdir())] == [
            0o700, 0o700, 0o600,
        ]  # fmt: skip


async def test_trim_without_its_archive_does_not_happen(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Where the archive cannot be written nothing is deleted."""
    async with serving(tmp_path) as service:
        await work(service, 5)
        whole = await log_of(service)
        directory_of(service.project.path).parent.write_text("in the way")

        with raises(StorageUnavailable):
            await trim(service.project, ALL, archives=True)

        assert await log_of(service) == whole


async def test_trim_that_stops_after_its_archive_loses_nothing(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Between archive and commit everything is in both; the next pass finishes, and the archive has each event."""
    async with serving(tmp_path) as service:
        await work(service, 5)
        whole = await log_of(service)
        service.gate.shut()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: trim(service.project, ALL, archives=True))
            await trio.testing.wait_all_tasks_blocked()
            assert len(archived(service)) == len(whole)
            nursery.cancel_scope.cancel()
        assert await log_of(service) == whole
        service.gate.open()
        await service.run(SendMessage(sender="anna", to=["ben"], body="more"))

        await trim(service.project, ALL, archives=True)

        assert [line["cursor"] for line in archived(service)][: len(whole)] == [event.cursor for event in whole]


async def test_preview_changes_nothing_and_says_what_goes(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A dry run leaves every byte of the log and the directory, and counts what the real one then deletes."""
    rules = [RetentionRule(kind="message.*", keep_events=3), RetentionRule(kind="agent.*", keep_events=0)]
    async with serving(tmp_path) as service:
        await work(service, 10)
        row, whole, files = stored_row(tmp_path), await log_of(service), files_in(tmp_path)

        foreseen = await preview(service.project, rules)
        assert (stored_row(tmp_path), await log_of(service), files_in(tmp_path)) == (row, whole, files)

        assert (await trim(service.project, rules, archives=True)).by_type == foreseen.by_type
        assert foreseen.by_type.total() > 10


async def test_trim_by_age_keeps_what_is_young_enough(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Events older than the days that are kept go, also where cursors before them are gone already."""
    async with serving(tmp_path) as service:
        await work(service, 5, 1)
        old = service.project.hub.head
        await trim(service.project, [RetentionRule(kind="message.read", keep_events=1)], archives=False)
        await trio.sleep(2 * DAY_S)
        await work(service, 5, 2)

        await trim(service.project, [RetentionRule(keep_days=1.0)], archives=False)

        assert await service.project.oldest_cursor(None) == old
        # The first trim told of itself in the old days; that alone is no reason for another one.
        assert [event.type for event in await log_of(service, old)][:2] == ["project.trimmed", "agent.renewed"]


async def test_trim_of_nothing_says_nothing(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A pass that finds nothing adds no event, else a log of which little is kept would never come to rest."""
    async with serving(tmp_path) as service:
        await work(service, 5)
        await trim(service.project, ALL, archives=False)
        head = service.project.hub.head

        for rule in (*ALL, RetentionRule(keep_days=1), *ALL):
            assert not (await preview(service.project, [rule])).by_type
            assert not (await trim(service.project, [rule], archives=False)).by_type
            await trio.sleep(2 * DAY_S)

        assert service.project.hub.head == head
        assert [event.type for event in await log_of(service, head - 1)] == ["project.trimmed"]


async def test_trim_that_is_asked_for_is_in_the_audit(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One record for each commit, under the cursor of its event: who, why, by which rules, what went and where it is kept."""
    monkeypatch.setattr(limits, "TRIM_MAX", 4)
    async with serving(tmp_path) as service:
        await work(service, 10)
        head = service.project.hub.head
        by = trimmer(service.project, LOCAL, "anna", ALL, "the disk is small")

        done = await trim(service.project, ALL, archives=True, by=by)

        records = (await service.run(ListAudit())).records
        told = await log_of(service, head)
        assert [record.cursor for record in records] == [event.cursor for event in told]
        assert len(told) > 1
        for record, event in zip(records, told, strict=True):
            assert (record.action, record.actor_name, record.verified, record.reason) == (
                "project.trimmed", "anna", False, "the disk is small",
            )  # fmt: skip
            assert record.subject == {**event.data, "archive": done.archives[0], "rules": [{"keep_events": 0}]}


async def test_trim_and_its_record_are_one_commit(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Where the disk takes neither there is neither; a trim that nobody asked for has no record, but the settings have one."""
    with faulty_disk() as disk:
        async with serving(tmp_path) as service:
            await work(service, 5)
            whole = await log_of(service)
            by = trimmer(service.project, LOCAL, None, ALL, None)

            disk.fail(1, only="write")
            with raises(StorageUnavailable):
                await trim(service.project, ALL, archives=False, by=by)
            disk.heal()
            assert (await log_of(service), (await service.run(ListAudit())).records) == (whole, [])

            await trim(service.project, ALL, archives=False, by=by)
            await work(service, 1)
            await trim(service.project, ALL, archives=False)
            [record] = (await service.run(ListAudit())).records
            assert (record.actor, record.subject["trimmed"]) == ("operator", len(whole))


async def test_trimmer_says_who_it_is(tmp_path: Path, autojump_clock: MockClock) -> None:
    """From elsewhere nobody trims namelessly, and nobody in another's name."""
    async with serving(tmp_path) as service:
        anna = await service.run(RegisterAgent(name="anna"))
        proved = Caller(is_local=False, claims=anna.agent_id, token_hash=hash_of_token(anna.token))

        with raises(InvalidRequest, match="agent_id"):
            trimmer(service.project, Caller(is_local=False), None, ALL, None)
        with raises(AgentIdentityMismatch):
            trimmer(service.project, proved, "ben", ALL, None)

        assert trimmer(service.project, proved, None, ALL, None).is_verified


async def test_trim_goes_in_bounded_slices(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No commit deletes more than its share, and a call stops after its chunks and says that there is more."""
    monkeypatch.setattr(limits, "TRIM_MAX", 4)
    monkeypatch.setattr(limits, "TRIM_CHUNK_MAX", 10)
    async with serving(tmp_path) as service:
        await work(service, 20)
        whole = len(await log_of(service))

        first = await trim(service.project, ALL, archives=True, chunks_max=2)
        assert (first.by_type.total(), len(first.archives), first.has_more) == (20, 2, True)
        await trim(service.project, ALL, archives=False)

        told = [event.data["trimmed"] for event in await log_of(service, await service.project.oldest_cursor(None))]
        assert max(told) <= 4
        assert whole > 20


async def test_settings_have_the_log_trimmed_by_itself(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A project's rules are applied while it is open; without rules everything is kept."""
    async with serving(tmp_path) as service:
        await work(service, 10)
        await trio.sleep(2 * limits.RETENTION_EVERY_S)
        assert await service.project.oldest_cursor(None) == 0
        rules = (RetentionRule(kind="reservation.*"), RetentionRule(keep_events=2))

        await service.run(ChangeSettings(project=DEMO, retention=rules))
        await trio.sleep(limits.RETENTION_EVERY_S + 1)

        assert service.logged("retention.applied")
        assert archived(service)
        assert await service.project.oldest_cursor(frozenset({"reservation.created"})) == 0
        await service.stop_project()
        assert (await service.run(GetSettings(project=DEMO))).retention == rules


async def test_settings_refuse_a_kind_that_no_event_has(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A mistyped kind would keep for ever what was to go."""
    async with serving(tmp_path) as service:
        with raises(InvalidRequest, match="tasks"):
            await service.run(ChangeSettings(project=DEMO, retention=(RetentionRule(kind="tasks.*", keep_days=1),)))


def test_rule_that_comes_first_decides() -> None:
    """Each type of event falls under one rule at most."""
    rules = [
        RetentionRule(kind="message.read", keep_days=1),
        RetentionRule(kind="message.*"),
        RetentionRule(keep_events=9),
    ]

    found = {rule.kind: types for rule, types in types_by_rule(rules)}

    assert found["message.read"] == ["message.read"]
    assert "message.*" not in found
    assert not any(each.startswith("message.") for each in found["*"])
    assert len(found["*"]) == sum(not each.startswith("message.") for each in EventType)


def test_oldest_cursor_is_of_the_types_that_are_read() -> None:
    """What is gone of other types is no gap."""
    gone = {"message.read": 9, "agent.renewed": 30}

    assert [oldest_cursor(gone, types) for types in (None, READS, frozenset({"task.created"}))] == [30, 9, 0]
    assert oldest_cursor({}, None) == 0
