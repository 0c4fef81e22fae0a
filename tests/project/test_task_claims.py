"""Work claimed once: claiming a task, the next one, and what it waits for (issue 4, point 5)."""

import pytest
from entity_samples import command, shown
from handler_bench import LOCAL, Bench, proving
from task_samples import change, create, read

from intermute.core import limits
from intermute.core.api.agents import RegisterAgent
from intermute.core.api.entity_actions import AssignTask, ClaimTask, NextTask
from intermute.core.api.intents import DeclareIntent
from intermute.core.api.messages import Thread
from intermute.core.entities.kinds import TASK
from intermute.core.errors import (
    AgentIdentityMismatch,
    ClaimLimit,
    DependencyCycle,
    InvalidRequest,
    NoClaimableTask,
    Overloaded,
    ReservationConflict,
    TaskNotClaimable,
    TaskTaken,
    UnknownEntity,
)


@pytest.fixture
def bench() -> Bench:
    """A project of its own."""
    return Bench()


def following(bench: Bench, agent: str, *capabilities: str) -> str | None:
    """Claim the next task and return its id, or None where there is none."""
    try:
        return str(bench.run(NextTask(agent=agent, capabilities=list(capabilities))).id)
    except NoClaimableTask:
        return None


def test_one_of_many_gets_the_task(bench: Bench) -> None:
    """Of all that ask in one batch, and later, the first has it and the others learn who."""
    create(bench, "t")
    agents = [bench.register(f"agent-{number}").agent_id for number in range(5)]

    outcomes = bench.batch(*((ClaimTask(id="t", agent=agent), LOCAL) for agent in agents))

    assert shown(outcomes[0])["agent"] == agents[0]
    assert [type(each) for each in outcomes[1:]] == [TaskTaken] * 4
    assert {each.details["agent"] for each in outcomes[1:]} == {agents[0]}
    with pytest.raises(TaskTaken, match="agent-0"):
        bench.run(ClaimTask(id="t", agent=agents[1]))
    assert [event.type for event in bench.events()].count("task.claimed") == 1


def test_claimed_task_says_so(bench: Bench) -> None:
    """Running, with its agent, the time, a thread with a first message, and the event with the task in it."""
    anna = bench.register("anna").agent_id
    create(bench, "t")

    claimed = shown(bench.run(ClaimTask(id="t", agent="anna")))

    assert (claimed["agent"], claimed["status"], claimed["version"]) == (anna, "running", 2)
    assert claimed["claimed_at"] == claimed["updated_at"]
    assert claimed == read(bench, "t")
    thread = bench.ask(Thread(thread_id=claimed["thread_id"]))
    assert [each.subject for each in thread.messages] == ["do t"]
    event = bench.events()[-1]
    assert (event.type, event.data["entity_id"], event.data["held_by"]) == ("task.claimed", "t", "anna")
    assert event.data["data"] == read(bench, "t")


def test_claim_again_by_its_agent_changes_nothing(bench: Bench) -> None:
    """A repetition, by name or id, answers the task and stores nothing."""
    anna = bench.register("anna").agent_id
    create(bench, "t")
    bench.run(ClaimTask(id="t", agent=anna))
    count = len(bench.events())

    again = shown(bench.run(ClaimTask(id="t", agent="anna")))

    assert again.pop("repeated") is True
    assert again == read(bench, "t")
    assert len(bench.events()) == count


@pytest.mark.parametrize("status", ["blocked", "done", "running", ""])
def test_task_that_is_not_pending_cannot_be_claimed(bench: Bench, status: str) -> None:
    """Only pending work is free to take."""
    create(bench, "t")
    change(bench, "t", status=status)

    with pytest.raises(TaskNotClaimable):
        bench.run(ClaimTask(id="t", agent="anna"))


def test_assigned_task_can_be_claimed_by_its_agent_alone(bench: Bench) -> None:
    """An orchestrator assigns, the agent claims, and nobody else can."""
    create(bench, "t")
    assigned = shown(bench.run(AssignTask(id="t", agent="anna")))
    assert (assigned["agent"], assigned["status"], assigned["version"]) == ("anna", "running", 2)

    with pytest.raises(TaskTaken):
        bench.run(ClaimTask(id="t", agent="ben"))
    assert shown(bench.run(ClaimTask(id="t", agent="anna")))["claimed_at"]
    assert [event.type for event in bench.events()][:2] == ["task.created", "task.assigned"]


def test_claim_of_nothing_or_by_nobody_is_refused(bench: Bench) -> None:
    """Unknown task, unnamed agent, another's token."""
    anna, ben = bench.register("anna"), bench.register("ben")
    create(bench, "t")

    with pytest.raises(UnknownEntity):
        bench.run(ClaimTask(id="x", agent="anna"))
    with pytest.raises(InvalidRequest, match="X-Agent-ID"):
        bench.run(ClaimTask(id="t"))
    with pytest.raises(InvalidRequest, match="X-Agent-ID"):
        bench.run(NextTask())
    with pytest.raises(AgentIdentityMismatch):
        bench.run(ClaimTask(id="t", agent=ben.agent_id), proving(anna))
    assert shown(bench.run(ClaimTask(id="t"), proving(anna)))["agent"] == anna.agent_id


def test_claim_takes_its_targets_along_or_nothing(bench: Bench) -> None:
    """The reservation is made in the same step; where somebody holds the target, the task stays free."""
    create(bench, "t")
    held = bench.reserve("ben", "src/**")
    count = len(bench.events())

    with pytest.raises(ReservationConflict):
        bench.run(ClaimTask(id="t", agent="anna", patterns=["src/a.py"]))

    assert (read(bench, "t")["status"], len(bench.events())) == ("pending", count)
    assert len(bench.state.leases) == 1
    claimed = shown(bench.run(ClaimTask(id="t", agent="anna", patterns=["docs/**"], ttl_seconds=60)))
    assert (claimed["reservation"]["path_pattern"], claimed["reservation"]["agent_id"]) == ("docs/**", "anna")
    assert claimed["reservation"]["id"] != held.id
    assert bench.events()[-1].data["reservation_id"] == claimed["reservation"]["id"]


def test_repeated_claim_reserves_what_is_not_reserved_yet(bench: Bench) -> None:
    """A repetition whose first answer was lost gets the same reservation; one that needs more gets that too."""
    bench.register("anna")
    create(bench, "t")
    first = shown(bench.run(ClaimTask(id="t", agent="anna", patterns=["docs/**"])))

    again = shown(bench.run(ClaimTask(id="t", agent="anna", patterns=["docs/**"])))
    more = shown(bench.run(ClaimTask(id="t", agent="anna", patterns=["src/**"])))

    assert again["repeated"] is more["repeated"] is True
    assert again["reservation"]["id"] == first["reservation"]["id"] != more["reservation"]["id"]
    assert len(bench.state.leases) == 2
    bench.reserve("ben", "lib/**")
    with pytest.raises(ReservationConflict):
        bench.run(ClaimTask(id="t", agent="anna", patterns=["lib/**"]))


def test_claim_tells_whom_its_reservation_meets(bench: Bench) -> None:
    """What is only declared is a warning to the one who claims, and an event for the one who declared it."""
    bench.register("ben")
    bench.run(DeclareIntent(agent_id="ben", paths=["docs/a.md"], operation="modify"))
    create(bench, "t")

    claimed = shown(bench.run(ClaimTask(id="t", agent="anna", patterns=["docs/**"])))

    assert [each["held_by"] for each in claimed["reservation"]["warnings"]] == ["ben"]
    assert bench.events()[-1].type == "intent.overlap"


def test_claim_of_an_unregistered_agent_says_that_it_lasts(bench: Bench) -> None:
    """It cannot fall silent, so it is told how the claim ends; a registered one is not."""
    create(bench, "t")
    create(bench, "u")
    bench.register("anna")

    assert "/release" in shown(bench.run(ClaimTask(id="t", agent="nobody")))["warnings"][0]
    assert "warnings" not in shown(bench.run(ClaimTask(id="u", agent="anna")))


def test_next_is_the_oldest_that_waits_for_nothing(bench: Bench) -> None:
    """In order of making; a task comes when all that it depends on are done, and a missing one is never done."""
    create(bench, "a")
    create(bench, "b", "a")
    create(bench, "c", "missing")
    create(bench, "d")

    assert [following(bench, "anna") for _ in range(3)] == ["a", "d", None]
    with pytest.raises(TaskNotClaimable) as refused:
        bench.run(ClaimTask(id="b", agent="anna"))
    assert refused.value.details["waits_for"] == ["a"]
    change(bench, "a", status="done")
    assert [following(bench, "anna") for _ in range(2)] == ["b", None]
    create(bench, "missing")
    change(bench, "missing", status="done")
    assert following(bench, "anna") == "c"


def test_next_is_the_oldest_whatever_it_needs(bench: Bench) -> None:
    """Of tasks with different capabilities, all of which the agent has, the one that was made first."""
    for task_id, needs in (("zulu", ["rust"]), ("yankee", []), ("xray", ["go"])):
        create(bench, task_id, capabilities=needs)

    assert [following(bench, "anna", "go", "rust") for _ in range(4)] == ["zulu", "yankee", "xray", None]


def test_next_fits_the_capabilities(bench: Bench) -> None:
    """A task that needs what the agent cannot do is left for another; without words, what it registered with counts."""
    create(bench, "rust", capabilities=["rust"])
    create(bench, "both", capabilities=["rust", "sql"])
    create(bench, "any")
    bench.run(RegisterAgent(name="sue", capabilities=["sql", "rust", "go"]))

    assert following(bench, "anna") == "any"
    assert following(bench, "anna", "sql") is None
    assert bench.run(NextTask(agent="sue")).id == "rust"
    assert following(bench, "anna", "rust", "sql") == "both"


def test_many_in_one_batch_get_different_tasks(bench: Bench) -> None:
    """Every command of a batch gets its own, the oldest first, and none is said to be missing that was there."""
    for number in range(60):
        create(bench, f"t{number}", capabilities=["x"] if number % 3 == 0 else [])
    commands = [NextTask(agent=f"a{number}", capabilities=["x"]) for number in range(60)]

    outcomes = bench.batch(*((each, LOCAL) for each in [ClaimTask(id="t7", agent="z"), *commands[:40]]))
    more = bench.batch(*((each, LOCAL) for each in commands[40:]))

    found = [each.id for each in outcomes + more if not isinstance(each, Exception)]
    assert found == ["t7", *(f"t{number}" for number in range(60) if number != 7)]
    assert [type(each) for each in more if isinstance(each, Exception)] == [NoClaimableTask]


def test_next_sees_what_the_batch_has_blocked(bench: Bench) -> None:
    """A dependency that is reopened in the same batch holds its task back again."""
    create(bench, "a")
    change(bench, "a", status="done")
    create(bench, "b", "a")
    reopening = command(TASK, "change", id="a", status="blocked")

    outcomes = bench.batch((reopening, LOCAL), (NextTask(agent="anna"), LOCAL))

    assert isinstance(outcomes[1], NoClaimableTask)


def test_next_that_does_not_see_far_enough_asks_to_come_again(bench: Bench) -> None:
    """Where more was blocked in one batch than was fetched, nobody is told that there is nothing to do."""
    create(bench, "a")
    change(bench, "a", status="done")
    for number in range(20):
        create(bench, f"t{number}", "a")
    create(bench, "free")
    reopening = command(TASK, "change", id="a", status="blocked")

    outcomes = bench.batch((reopening, LOCAL), (NextTask(agent="anna"), LOCAL))

    assert isinstance(outcomes[1], Overloaded)
    assert following(bench, "anna") == "free"


def test_claims_of_one_agent_are_bounded(bench: Bench) -> None:
    """One hundred are taken, the next is refused, and a finished one makes room."""
    for number in range(limits.CLAIMS_PER_AGENT_MAX + 1):
        create(bench, f"t{number}")
    for _ in range(limits.CLAIMS_PER_AGENT_MAX):
        following(bench, "anna")

    last = f"t{limits.CLAIMS_PER_AGENT_MAX}"
    for asked in (ClaimTask(id=last, agent="anna"), NextTask(agent="anna")):
        with pytest.raises(ClaimLimit):
            bench.run(asked)
    change(bench, "t0", status="done")
    assert following(bench, "anna") == last


def test_circle_of_dependencies_is_refused(bench: Bench) -> None:
    """Directly, over others, by making, replacing and merging: the circle is named and nothing is stored."""
    create(bench, "a", "b")
    create(bench, "b", "c")
    count = len(bench.events())

    for which, fields in (
        ("create", {"id": "c", "title": "x", "depends_on": ["d", "a"]}),
        ("create", {"id": "x", "title": "x", "depends_on": ["x"]}),
        ("change", {"id": "b", "depends_on": ["c", "a"]}),
        ("replace", {"id": "b", "version": 1, "depends_on": ["a"]}),
    ):
        with pytest.raises(DependencyCycle) as refused:
            bench.run(command(TASK, which, **fields))
        cycle = refused.value.details["cycle"]
        assert cycle in (["c", "a", "b", "c"], ["x", "x"], ["b", "a", "b"])
    assert len(bench.events()) == count
    create(bench, "c", "d")


def test_circle_within_a_batch_is_refused(bench: Bench) -> None:
    """Two changes that are fine each by itself, and close a circle together."""
    for name in "abcd":
        create(bench, name)
    change(bench, "a", depends_on=["b"])
    first = command(TASK, "change", id="b", depends_on=["c"])
    second = command(TASK, "change", id="c", depends_on=["d", "a"])

    outcomes = bench.batch((first, LOCAL), (second, LOCAL))

    assert isinstance(outcomes[1], DependencyCycle)
    assert outcomes[1].cycle == ["c", "a", "b", "c"]


def test_walk_through_dependencies_is_bounded(bench: Bench) -> None:
    """As many tasks as the limit says are looked through, one more is refused."""
    width = limits.DEPENDENCIES_WALK_MAX // 10 - 1
    for number in range(10):
        create(bench, f"t{number}", *(f"missing-{number}-{other}" for other in range(width)))
    create(bench, "extra")
    top = [f"t{number}" for number in range(10)]
    assert len(top) * (width + 1) == limits.DEPENDENCIES_WALK_MAX

    create(bench, "within", *top)
    with pytest.raises(InvalidRequest, match="depends_on"):
        create(bench, "beyond", *top, "extra")
