"""A disk that fails at any operation of a scenario: no acknowledged write is lost, nothing is stored by half (G3, G19)."""

from functools import partial
from pathlib import Path

import apsw
import pytest
from disk_walk import FAULTS, NEVER, Fault, count_operations, in_mocked_time, problems, simulate
from fault_checks import half_states, lies
from fault_scenario import Outcome, Step, finds, message
from faulty_vfs import Failure
from open_projects import DEMO

from intermute.core.api.messages import SendMessage
from intermute.core.errors import StorageUnavailable
from intermute.store.directory import DataDirectory

SOUND = Fault(Failure.EIO)
STEPS = {str(fault): 13 for fault in FAULTS} | {"eio-once-all": 1, "lost-once-sync": 29, "lost-sticky-sync": 29}
"""Every operation fails once; of the other faults every 13th or so, since the long walk has them all (`make soak`)."""


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_every_fault_is_answered_truly(tmp_path: Path, fault: Fault) -> None:
    """Wherever the disk fails, once or for good, answers and reads agree with the file, and the project recovers."""
    operations, step = count_operations(tmp_path / "sound", fault), STEPS[str(fault)]
    hits = 0

    for at in range(1 + operations % step, operations + 1, step):
        found, failures = problems(tmp_path / str(at), at, fault)
        assert (at, found) == (at, [])
        hits += bool(failures)

    assert hits > operations / step / 3


def test_store_that_answers_before_its_commit_is_found_out(tmp_path: Path) -> None:
    """Control: where an answer does not wait for the commit, the same walk finds lost writes."""
    operations = count_operations(tmp_path / "sound", SOUND)

    found = [problems(tmp_path / str(at), at, SOUND, is_hasty=True)[0] for at in range(operations // 2, operations, 23)]

    assert sum(bool(each) for each in found) > len(found) / 3
    assert "and it is not stored" in str(found)


def test_disk_that_loses_writes_is_found_out(tmp_path: Path) -> None:
    """Control: a disk that says that it has written and has not cannot be survived, and the walk sees that."""
    lost = Fault(Failure.LOST, only="write")
    operations = count_operations(tmp_path / "sound", lost)

    found = [problems(tmp_path / str(at), at, lost)[0] for at in range(operations // 2, operations, 23)]

    assert any(found)


def test_scenario_without_faults_is_stored(tmp_path: Path) -> None:
    """Control: on a sound disk every step is answered with a reply but the two refusals that it contains."""
    outcome, disk, operations = in_mocked_time(partial(simulate, tmp_path, NEVER, SOUND))

    assert {cls.__name__ for cls in outcome.classes} == {"ReservationConflict", "TaskTaken"}
    assert lies(outcome, tmp_path) == half_states(tmp_path) == outcome.wrong_reads == []
    assert disk.failures == 0
    assert operations > 300
    assert len(outcome.answers) >= 40


@pytest.mark.parametrize(
    ("sql", "half_state"),
    [
        ("DELETE FROM recipients WHERE address = 'carl'", "a message has its recipients"),
        ("DELETE FROM events WHERE cursor = 3", "cursors have no gap"),
        ("UPDATE events SET type = 'x' WHERE type = 'reservation.created'", "a grant has its event"),
        ("UPDATE events SET type = 'x' WHERE type = 'reservation.released'", "an end has its event"),
        ("UPDATE project SET head = head + 1", "the head is the last cursor"),
        ("UPDATE threads SET message_count = 7", "a thread counts its messages"),
        ("UPDATE messages SET cursor = 1", "a message has its event"),
        ("UPDATE tasks SET version = version + 1", "a task has its event"),
        ("UPDATE intents SET state = 'done'", "an intent has its event"),
        ("DELETE FROM reservations WHERE reason = 'task one'", "a claimed task has its reservation"),
    ],
)
def test_half_state_is_named(tmp_path: Path, sql: str, half_state: str) -> None:
    """Control: a change that is stored by half is found."""
    in_mocked_time(partial(simulate, tmp_path, NEVER, SOUND))

    apsw.Connection(str(DataDirectory(tmp_path).path_of(DEMO))).execute(sql)

    assert half_state in half_states(tmp_path)


def test_lie_is_named(tmp_path: Path) -> None:
    """Control: a reply without its row and a refusal with one are both found, and so is a read that misses a message."""
    outcome, _, _ = in_mocked_time(partial(simulate, tmp_path, NEVER, SOUND))
    stored, lost = message("m1", "one"), Step(SendMessage(sender="anna", to=["ben"]), finds("SELECT 1 WHERE 0"))

    told = Outcome([*outcome.answers, (stored, StorageUnavailable()), (lost, object()), (stored, ValueError())])
    told.note_read(ValueError())

    assert len(lies(told, tmp_path)) == 2
    assert len(told.wrong_reads) == 1
