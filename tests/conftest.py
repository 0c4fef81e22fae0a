"""One real server that the black-box tests share; each test works in a project of its own."""

import itertools
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import HealthCheck, settings
from known_keys import ACME_KEY, KEYS_FILE, UMBRA_KEY, with_key
from server_process import REMOTE, ServerProcess

from intermute.embedded import Server, in_thread

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A running server with a Unix socket, whose keys file knows the projects acme, umbra and hashed."""
    home = tmp_path_factory.mktemp("server")
    (home / "keys.yaml").write_text(KEYS_FILE)
    with ServerProcess(home, "--socket", str(home / "socket")) as running:
        yield running
        assert running.stop() == 0
        # Whatever the tests sent, none of it was a defect: nothing in the log is for somebody to look at.
        assert [line for line in running.lines if '"level": "error"' in line] == []


@pytest.fixture(scope="session")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service embedded in this process, for tests of the client library."""
    with in_thread(tmp_path_factory.mktemp("hosted")) as running:
        yield running


@pytest.fixture(scope="session")
def client(server: ServerProcess) -> Iterator[httpx.Client]:
    """A local caller."""
    with server.client() as opened:
        yield opened


@pytest.fixture(scope="session")
def remote(server: ServerProcess) -> Iterator[httpx.Client]:
    """A caller from another machine, without a key."""
    with server.client(REMOTE) as opened:
        yield opened


@pytest.fixture(scope="session")
def acme(server: ServerProcess) -> Iterator[httpx.Client]:
    """A caller from another machine with the key of project acme."""
    with server.client(with_key(ACME_KEY)) as opened:
        yield opened


@pytest.fixture(scope="session")
def umbra(server: ServerProcess) -> Iterator[httpx.Client]:
    """A caller from another machine with the key of project umbra."""
    with server.client(with_key(UMBRA_KEY)) as opened:
        yield opened


@pytest.fixture
def project() -> str:
    """A project that no other test uses."""
    return f"project-{next(_numbers)}"


# A slow machine is no failure: how long drawing takes says nothing about the rules under test (style.md 38).
settings.register_profile("ours", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ours")
