"""No bytes end the process, hold a connection or disturb another one (guarantees.md G22, T8); `make soak` throws 100,000."""

from pathlib import Path

from packets import packet
from server_process import ServerProcess
from stock_server import PROGRAM
from throwing import OPTIONS, prepare, throw_packets

SEED = 20_260_722
PACKETS = 2_000


def test_packets_disturb_nobody(tmp_path: Path) -> None:
    """Whatever is sent, two bystanders go on, nothing stays open, and the log has nothing for somebody to look at."""
    prepare(tmp_path)
    with ServerProcess(tmp_path, *OPTIONS) as server:
        thrown = throw_packets(server, SEED, PACKETS)

        assert thrown.problems == []
        assert thrown.packets == PACKETS
        assert thrown.rounds > PACKETS / 50, "the bystanders were there all the time"
        assert {"101", "200", "400", "401", "404", "415", "421", "431"} <= set(thrown.answers), "they get everywhere"
        assert server.stop() == 0


def test_stock_server_does_not_survive_them(tmp_path: Path) -> None:
    """Control: without our guard the process is dead after a few hundred, and the thrower says so."""
    prepare(tmp_path)
    with ServerProcess(tmp_path, *OPTIONS, program=(PROGRAM,)) as server:
        thrown = throw_packets(server, SEED, PACKETS)

    assert any(each.startswith("the server ended") for each in thrown.problems), thrown.problems
    assert thrown.packets < PACKETS


def test_packet_can_be_had_again_by_its_number() -> None:
    """Seed and number decide every byte; another seed gives others."""
    assert [packet(SEED, number) for number in range(200)] == [packet(SEED, number) for number in range(200)]
    assert len({packet(SEED, number).pieces for number in range(200)}) > 190
    assert packet(SEED, 1) != packet(SEED + 1, 1)
