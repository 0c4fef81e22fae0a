"""A client whose server was killed repeats what it does not know about (guarantees.md G1, G4); see `faults/test_kills.py`."""

from pathlib import Path

from calls import events, send
from server_process import ServerProcess


def test_repeated_send_after_a_crash_is_stored_once(tmp_path: Path) -> None:
    """A client that does not know whether its message was stored repeats it with the same id, and it is there once."""
    with ServerProcess(tmp_path) as server, server.client() as client:
        first = send(client, "acme", "w", ["reader"], id="m-1", body="m-1")
        server.kill()

    with ServerProcess(tmp_path) as server, server.client() as client:
        again = send(client, "acme", "w", ["reader"], id="m-1", body="m-1")

        assert (again["cursor"], again["replayed"]) == (first["cursor"], True)
        assert [event["type"] for event in events(client, "acme")] == ["message.created"]
