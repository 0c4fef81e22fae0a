"""The directory of agents: addresses, names, liveness, and who a caller is (design.md 6)."""

import uuid

import pytest
from pytest import raises

from intermute.core import limits
from intermute.core.agents import Agent, Caller, Directory, Identity, act_as, session_key, with_any_capability
from intermute.core.errors import AgentHeaderMissing, AgentIdentityMismatch, InvalidSessionId
from intermute.core.ids import AgentId, Micros
from intermute.core.names import first_numbered

SESSION = "0d6a3c5e-1a8b-4a0e-8a55-0a4f8a1b2c3d"


def agent(number: int, name: str, *, heard_s: float = 0.0, capabilities: tuple[str, ...] | None = None) -> Agent:
    """Return an agent with an id, a session and a token of its own."""
    return Agent(
        id=AgentId(f"id-{number}"),
        session_id=str(uuid.UUID(int=number)),
        name=name,
        token_hash=bytes([number]),
        capabilities=capabilities,
        metadata=None,
        status="",
        created_at_us=Micros(number),
        last_seen_us=Micros(number),
        heard_s=heard_s,
    )


@pytest.fixture
def directory() -> Directory:
    """Anna and ben, heard at 0."""
    made = Directory()
    made.put(agent(1, "anna"))
    made.put(agent(2, "ben"))
    return made


def test_address_is_an_id_or_a_name(directory: Directory) -> None:
    """Both lead to the agent; what nobody has stays as it is."""
    assert [directory.canonical(each) for each in ("id-1", "anna", "carl")] == ["id-1", "id-1", "carl"]
    assert directory.name_of(AgentId("id-2")) == "ben"
    assert directory.name_of(AgentId("carl")) == "carl"


def test_address_is_case_sensitive(directory: Directory) -> None:
    """As in the original (contract.md 0.6)."""
    assert directory.find("Anna") is None


def test_address_prefers_the_id(directory: Directory) -> None:
    """Nobody becomes another by a name that is the other's id."""
    directory.put(agent(3, "id-1"))

    assert directory.canonical("id-1") == "id-1"


def test_directory_follows_changes(directory: Directory) -> None:
    """An agent that is put again under other keys is found under those alone."""
    changed = agent(1, "dora")
    changed.token_hash, changed.session_id = b"new", SESSION

    directory.put(changed)

    assert directory.find("anna") is None
    assert directory.of_token(b"\x01") is None
    assert directory.of_session(session_key(str(uuid.UUID(int=1)))) is None
    assert directory.find("dora") is directory.of_token(b"new") is directory.of_session(SESSION) is changed
    assert len(directory) == 2


def test_directory_forgets_who_left(directory: Directory) -> None:
    """Nothing leads to an agent that was removed."""
    anna = directory.find("anna")
    assert anna is not None

    directory.remove(anna)

    assert directory.find("anna") is directory.find("id-1") is directory.of_token(b"\x01") is None
    assert [each.name for each in directory] == ["ben"]


@pytest.mark.parametrize(
    ("silent_s", "is_live"),
    [(0, True), (limits.AGENT_SILENCE_S - 0.001, True), (limits.AGENT_SILENCE_S, False), (10**6, False)],
)
def test_agent_is_live_for_five_minutes(silent_s: float, is_live: bool) -> None:
    """Exactly 5 minutes of silence is too long."""
    assert agent(1, "anna", heard_s=100.0).is_live(100.0 + silent_s) == is_live


def test_free_name_counts_up(directory: Directory) -> None:
    """The first suffix that no live agent has."""
    directory.put(agent(3, "anna-2"))

    assert directory.free_name("anna", 0.0) == "anna-3"
    assert directory.free_name("carl", 0.0) == "carl"


def test_free_name_ignores_the_silent_and_oneself(directory: Directory) -> None:
    """A silent agent's name is free, and one's own is one's own."""
    assert directory.free_name("anna", limits.AGENT_SILENCE_S) == "anna"
    assert directory.free_name("anna", 0.0, except_for=AgentId("id-1")) == "anna"


@pytest.mark.parametrize("taken", [1, 63, 64, 65, 127, 128, 129, 9_900])
def test_numbered_name_is_found_in_a_few_looks(taken: int) -> None:
    """However many share a name, the next number is found without counting up to it."""
    names = {f"anna-{number}" for number in range(2, taken + 2)}
    looks: list[str] = []

    def is_free(name: str) -> bool:
        looks.append(name)
        return name not in names

    assert first_numbered("anna", is_free) == f"anna-{taken + 2}"
    assert len(looks) < 100


def test_numbered_name_is_found_among_gaps() -> None:
    """Where numbers are missing, some free one is given, whoever took the round ones."""
    names = {f"anna-{number}" for number in (*range(2, 65), 128, 256, 512, 1024)}

    found = first_numbered("anna", lambda name: name not in names)

    assert found not in names


def test_unborne_name_is_nobodys(directory: Directory) -> None:
    """The name for one that loses its own is borne by nobody, live or silent."""
    directory.put(agent(3, "anna-2", heard_s=-(10.0**6)))

    assert directory.unborne_name("anna") == "anna-3"


@pytest.mark.parametrize(
    "spelling", [SESSION, SESSION.upper(), f"{{{SESSION}}}", f"urn:uuid:{SESSION}", SESSION.replace("-", "")]
)
def test_session_spellings_have_one_key(spelling: str) -> None:
    """Every spelling of a UUID that the original takes."""
    assert session_key(spelling) == SESSION


@pytest.mark.parametrize("text", ["", "x", SESSION[:-1], SESSION + "0", "not-a-uuid-at-all"])
def test_session_that_is_no_uuid_is_refused(text: str) -> None:
    """Anything else."""
    with raises(InvalidSessionId):
        session_key(text)


def test_identity_without_a_token_is_a_claim(directory: Directory) -> None:
    """X-Agent-ID alone is believed and not verified; it may be a name."""
    assert directory.identify(Caller(is_local=True)) == Identity(None, is_verified=False)
    assert directory.identify(Caller(is_local=True, claims="anna")) == Identity(AgentId("id-1"), is_verified=False)
    assert directory.identify(Caller(is_local=True, claims="carl")) == Identity(AgentId("carl"), is_verified=False)


def test_identity_with_its_token_is_proved(directory: Directory) -> None:
    """The token of the agent that is named."""
    proved = directory.identify(Caller(is_local=False, claims="anna", token_hash=b"\x01"))

    assert proved == Identity(AgentId("id-1"), is_verified=True)


@pytest.mark.parametrize(("claims", "token_hash"), [("ben", b"\x01"), ("anna", b"x"), ("carl", b"\x01")])
def test_identity_with_a_wrong_token_is_refused(directory: Directory, claims: str, token_hash: bytes) -> None:
    """Another's token, an unknown one, and a name that nobody has."""
    with raises(AgentIdentityMismatch):
        directory.identify(Caller(is_local=True, claims=claims, token_hash=token_hash))


def test_identity_with_a_token_alone_is_refused(directory: Directory) -> None:
    """A token says nothing without the agent it belongs to."""
    with raises(AgentHeaderMissing):
        directory.identify(Caller(is_local=True, token_hash=b"\x01"))


def test_act_as_the_body_says_or_as_oneself() -> None:
    """A claim may be overruled by the body; a proof may not."""
    claimed, proved = Identity(AgentId("a"), is_verified=False), Identity(AgentId("a"), is_verified=True)

    assert [act_as(claimed, None), act_as(claimed, AgentId("b"))] == ["a", "b"]
    assert [act_as(proved, None), act_as(proved, AgentId("a"))] == ["a", "a"]
    with raises(AgentIdentityMismatch):
        act_as(proved, AgentId("b"))


def test_capabilities_are_alternatives() -> None:
    """Any of the wished ones is enough; no wish is everyone."""
    agents = [agent(1, "a", capabilities=("go",)), agent(2, "b", capabilities=("go", "c")), agent(3, "c")]

    assert [each.name for each in with_any_capability(agents, frozenset({"c", "rust"}))] == ["b"]
    assert len(with_any_capability(agents, frozenset())) == 3
