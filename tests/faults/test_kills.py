"""kill -9 at every named point: what was acknowledged is there, and nothing is held twice (guarantees.md G1, G5, G6)."""

from pathlib import Path

import apsw
import pytest
from calls import send
from failing_server import POINTS, PROGRAM, VARIABLE, Failpoints
from kills import AT_RANDOM, check_files, run_kills
from server_process import ServerProcess
from told import Told, check

SEED = 20_261_121
EVERYWHERE = (*POINTS, AT_RANDOM)


def test_kill_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Thirteen lives of the service on the same data, each ended at another point amid the writes of eight clients."""
    kills = run_kills(tmp_path, SEED, EVERYWHERE)

    assert sum(kills.ended_at.values()) == len(EVERYWHERE)
    assert len(kills.ended_at) >= len(EVERYWHERE) - 3, f"nearly all end where they should: {kills.ended_at}"
    assert kills.acknowledged > 200


def test_service_that_answers_before_its_commit_is_found_out(tmp_path: Path) -> None:
    """Control: where replies do not wait for the commit, the same check after the same kill finds lost writes."""
    told = Told()
    with ServerProcess(tmp_path, program=(PROGRAM,), changes={VARIABLE: "hasty"}) as server, server.client() as client:
        for number in range(50):
            told.messages[f"m-{number}"] = send(client, "acme", "w", ["reader"], id=f"m-{number}", body=f"m-{number}")
        server.kill()

    with (
        ServerProcess(tmp_path) as server,
        server.client() as client,
        pytest.raises(AssertionError, match="every acknowledged change is in the log"),
    ):
        check(client, told)


def test_check_notices_a_lost_write(tmp_path: Path) -> None:
    """Control: had a client been told of a change that is not there, the comparison would fail."""
    with ServerProcess(tmp_path) as server, server.client() as client:
        sent = send(client, "acme", "w", ["reader"], id="m-1", body="m-1")
        check(client, Told(messages={"m-1": sent}))

        with pytest.raises(AssertionError, match="in the log"):
            check(client, Told(messages={"m-1": sent, "m-2": {"cursor": sent["cursor"] + 1}}))
        with pytest.raises(AssertionError, match="was confirmed"):
            check(client, Told(messages={"m-1": sent}, acked={"m-1"}))
        with pytest.raises(AssertionError, match="a grant stays"):
            check(client, Told(granted={"r-1": {"fence": sent["cursor"]}}))


def test_check_notices_a_broken_file(tmp_path: Path) -> None:
    """Control: a file with a page of nothing is not passed."""
    with ServerProcess(tmp_path) as server, server.client() as client:
        for number in range(20):
            send(client, "acme", "w", ["reader"], id=f"m-{number}", body="x" * 4000)
        assert server.stop() == 0
    [path] = server.data.rglob("*.db")
    check_files(server.data, tmp_path / "copy")
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(bytes(4096 * 20))

    with pytest.raises((AssertionError, apsw.CorruptError)):
        check_files(server.data, tmp_path / "copy")


@pytest.mark.parametrize("text", ["kill before lunch 1", "tickle before COMMIT 1", "kill before COMMIT"])
def test_failpoint_that_does_not_exist_is_refused(text: str) -> None:
    """A point that is never met would prove nothing."""
    with pytest.raises((AssertionError, ValueError)):
        Failpoints(text)


def test_service_knows_no_failpoints(tmp_path: Path) -> None:
    """The service itself does not look at the variable that kills."""
    with ServerProcess(tmp_path, changes={VARIABLE: "kill after COMMIT 1"}) as server, server.client() as client:
        assert send(client, "acme", "w", ["reader"], id="m-1", body="m-1")["cursor"] == 1
        assert PROGRAM not in server.lines
        assert server.stop() == 0
