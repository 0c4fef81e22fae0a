"""The power goes at any moment: all that was acknowledged is there, and nothing by half (guarantees.md G2)."""

import random
from pathlib import Path

import pytest
from power import Entry, Kind, Loss, Recording
from power_cuts import cut_often, record

from intermute.store.writer import WAL_PAGES_MAX

SEED = 20_261_121


def test_power_cut_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Sixty cuts of one run: acknowledged is recovered, recovered is a prefix, the file is whole, the service serves."""
    found, tried = cut_often(tmp_path, SEED, 60)

    assert found == []
    assert set(tried) == set(Loss)


@pytest.mark.parametrize(("synchronous", "problem"), [("NORMAL", "lost though acknowledged"), ("OFF", "malformed")])
def test_power_cut_without_full_sync_loses(tmp_path: Path, synchronous: str, problem: str) -> None:
    """Control: without a flush before each answer the same cuts lose what was acknowledged."""
    found, _ = cut_often(tmp_path, SEED, 40, synchronous=synchronous)

    assert problem in str(found)


def test_recording_has_checkpoints_amid_writes(tmp_path: Path) -> None:
    """The cuts meet what they should: the log is moved into the file while the project serves, and used again."""
    run = record(tmp_path, SEED)

    file = next(each.file for each in run.recording.entries if each.file.endswith(".db"))
    syncs = [at for at, each in enumerate(run.recording.entries) if each.kind is Kind.SYNC and each.file == file]
    answers = [at for at, each in enumerate(run.recording.entries) if each.kind is Kind.ACKNOWLEDGED]
    assert len([at for at in syncs if answers[0] < at < answers[-1]]) >= 3
    assert max(each.at for each in run.recording.entries if each.file.endswith("-wal")) > WAL_PAGES_MAX * 4096


def test_image_tears_writes_at_sectors_and_keeps_what_was_synced() -> None:
    """Of a synced write all is left; of another one, any of its sectors."""
    first, second = b"a" * 2048, b"b" * 2048
    recording = Recording([Entry(Kind.WRITE, "f", 0, first), Entry(Kind.SYNC, "f"), Entry(Kind.WRITE, "f", 0, second)])

    images = list(recording.images([2] * 20 + [3] * 200, random.Random(SEED)))

    assert {image.files["f"] for image in images[:20]} == {first}
    contents = {image.files["f"] for image in images[20:]}
    assert {first, second} < contents
    sectors = {content[at : at + 512] for content in contents for at in range(0, 2048, 512)}
    assert sectors == {b"a" * 512, b"b" * 512}
