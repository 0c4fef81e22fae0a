"""All seven kinds against a model in plain dictionaries: any commands in any order, alone and together in one commit."""

from typing import Any

from entity_model import KINDS, TIMES, Call, Json, Model, compared
from entity_samples import command, shown
from handler_bench import LOCAL, Bench
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from intermute.core.api.entity_actions import AssignTask, ClaimTask, NextTask, ReleaseTask, SpecTree
from intermute.core.api.settings import ChangeSettings
from intermute.core.entities.definition import Field, FieldType, Kind
from intermute.core.entities.kinds import OF_KIND, SPEC
from intermute.core.errors import DomainError

IDS = st.sampled_from(["a", "b", "c"])
AGENTS = st.sampled_from(["anna", "ben"])
FAMILIES = [
    [Kind.TASK],
    [Kind.STORY, Kind.TASK, Kind.SESSION],
    [Kind.SPEC, Kind.EPIC, Kind.STORY],
    [Kind.SPEC, Kind.INSIGHT],
    [Kind.SPEC, Kind.CUJ],
    KINDS,
]
WEIGHTED = (
    ["create"] * 4 + ["change"] * 2 + ["delete"] * 2 + ["claim"] * 2 + ["replace", "next", "next", "release", "assign"]
)
OF_TASKS = frozenset({"claim", "next", "release", "assign"})
CAPABILITIES = st.lists(st.sampled_from(["go", "rust"]), unique=True)


def value_of(kind: Kind, field: Field) -> st.SearchStrategy[Any]:  # Any: a value of the field's type.
    """Draw something for a field: words that can mean something to other commands, now and then nothing."""
    if field.refers_to is not None:
        return (
            st.lists(IDS, max_size=2, unique=True) if field.type is FieldType.WORDS else st.sampled_from(["", "a", "b"])
        )
    match field.name:
        case "status":
            return st.sampled_from([*OF_KIND[kind].flow, "odd"])
        case "agent":
            return st.sampled_from(["", "anna", "ben"])
        case "priority":
            return st.sampled_from(["", "high", "low"])
        case "capabilities":
            return CAPABILITIES
        case "score":
            return st.sampled_from([0.0, 0.5, 1.0])
    if field.type is FieldType.STEPS:
        return st.lists(st.fixed_dictionaries({"order": st.integers(1, 3), "action": IDS, "expected": IDS}), max_size=2)
    return st.lists(IDS, max_size=2) if field.type is FieldType.WORDS else st.sampled_from(["", "x", "y"])


@st.composite
def fields_of(draw: st.DrawFn, kind: Kind, *, is_new: bool) -> Json:
    """Draw some fields of an entity."""
    chosen: Json = {}
    for field in OF_KIND[kind].contents:
        if field.name in TIMES or not field.is_settable:
            continue
        if (is_new and field.is_required) or draw(st.booleans()):
            chosen[field.name] = draw(value_of(kind, field))
    return chosen


@st.composite
def calls(draw: st.DrawFn, kinds: list[Kind]) -> Call:
    """Draw a command; its version is a distance from the one that is there, which is not known yet."""
    which = draw(st.sampled_from(WEIGHTED))
    if which in OF_TASKS and Kind.TASK not in kinds:
        which = "create"
    kind = Kind.TASK if which in OF_TASKS else draw(st.sampled_from(kinds))
    fields: Json = {}
    if which in ("create", "replace", "change"):
        fields = draw(fields_of(kind, is_new=which == "create"))
    elif which == "delete":
        fields = {"cascade": draw(st.sampled_from(["refuse", "orphan"]))}
    elif which == "next":
        fields = {"capabilities": draw(CAPABILITIES)}
    return Call(kind, which, draw(IDS), fields, draw(st.sampled_from([None, 0, 0, 0, 1, -1])), draw(AGENTS))


def at_version(call: Call, model: Model) -> Call:
    """Return a call whose version, drawn as a distance from the one that is there, is a version."""
    there = model.held.get((call.kind, call.id), {}).get("version", 1)
    version = None if call.version is None else max(there + call.version, 0)
    return Call(call.kind, call.which, call.id, call.fields, version, call.agent)


def as_command(call: Call) -> object:
    """Return a call as the handlers take it."""
    match call.which:
        case "claim":
            return ClaimTask(id=call.id, agent=call.agent)
        case "next":
            return NextTask(agent=call.agent, capabilities=call.fields["capabilities"])
        case "release":
            return ReleaseTask(id=call.id, agent=call.agent)
        case "assign":
            return AssignTask(id=call.id, agent=call.agent)
        case "delete":
            return command(OF_KIND[call.kind], "delete", id=call.id, **call.fields)
        case _:
            version = {} if call.version is None else {"version": call.version}
            return command(OF_KIND[call.kind], call.which, id=call.id, **version, **call.fields)


class Entities(RuleBasedStateMachine):
    """One project and its model."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench()
        self.model = Model()
        self.kinds = KINDS

    @initialize(kinds=st.sampled_from(FAMILIES))
    def begin(self, kinds: list[Kind]) -> None:
        """Choose what it is about: among all seven kinds at once few commands would meet."""
        self.kinds = kinds

    @rule(data=st.data())
    def work(self, data: st.DataObject) -> None:
        """Commit several times, some commands each."""
        for batch in data.draw(st.lists(st.lists(calls(self.kinds), min_size=1, max_size=4), min_size=1, max_size=5)):
            self.commit([at_version(each, self.model) for each in batch])

    def commit(self, batch: list[Call]) -> None:
        """Do several things in one commit: each is decided as if those before it had been done."""
        outcomes = self.bench.batch(*((as_command(each), LOCAL) for each in batch))
        self.model.begin()
        for call, outcome in zip(batch, outcomes, strict=True):
            missing = self.model.missing(call.kind, call.fields)
            expected = self.model.apply(call)
            if isinstance(expected, str):
                assert isinstance(outcome, DomainError), (call, expected)
                assert outcome.code == expected, call
                continue
            assert not isinstance(outcome, DomainError), (call, outcome)
            answer = shown(outcome)
            if call.which == "delete":
                orphans = sorted((each["kind"], each["id"], each["field"]) for each in answer["orphaned"])
                assert (answer["deleted"], orphans, answer["orphaned_count"]) == (
                    expected["deleted"], expected["orphaned"], len(expected["orphaned"])
                ), call  # fmt: skip
                continue
            assert compared(OF_KIND[call.kind], answer) == compared(OF_KIND[call.kind], expected), call
            for flag in ("repeated", "released"):
                assert bool(answer.get(flag)) is expected.get(flag, False), call
            if call.which in ("create", "replace", "change"):
                assert len(answer.get("warnings", [])) == missing, call

    @rule(is_strict=st.booleans())
    def choose(self, is_strict: bool) -> None:
        """Switch references and status flows to be enforced, or not."""
        self.bench.run(
            ChangeSettings(project="demo", agent_id="boss", strict_references=is_strict, strict_status=is_strict)
        )
        self.model.is_strict = is_strict

    @rule(is_crash=st.booleans())
    def restart(self, is_crash: bool) -> None:
        """Lose the memory."""
        if is_crash:
            self.bench.crash()
        else:
            self.bench.restart()

    @rule(data=st.data())
    def lists_are_the_models(self, data: st.DataObject) -> None:
        """A list by any of its filters, in pages of two, is the model's in its order."""
        kind = data.draw(st.sampled_from(self.kinds))
        entity = OF_KIND[kind]
        some = data.draw(st.sampled_from(list(self.model.held.values()) or [{}]))
        chosen = data.draw(st.lists(st.sampled_from([each.field for each in entity.filters]), unique=True))
        wanted = {name: some[name] for name in chosen if some.get(name)}
        found: list[str] = []
        cursor: Json = {}
        while True:
            page = shown(self.bench.ask(command(entity, "listing", limit=2, **wanted, **cursor)))
            found += [each["id"] for each in page["entities"]]
            if "next_cursor" not in page:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert found == self.model.listed(kind, wanted)

    @invariant()
    def entities_and_claims_are_the_models(self) -> None:
        """Each entity is what the model says it is, the claims in memory are its claims, and trees count what there is."""
        for kind in KINDS:
            entity = OF_KIND[kind]
            for entity_id in ("a", "b", "c"):
                expected = self.model.held.get((kind, entity_id))
                try:
                    answer = shown(self.bench.ask(command(entity, "get", id=entity_id)))
                except DomainError as refused:
                    assert (refused.code, expected) == ("unknown_entity", None)
                else:
                    assert expected is not None
                    assert compared(entity, answer) == compared(entity, expected)
        claimed = {each.id for each in self.bench.state.task_claims.held_by(["anna", "ben"])}
        assert claimed == self.model.claims
        for kind, spec_id in self.model.held:
            if kind is Kind.SPEC:
                tree = shown(self.bench.ask(SpecTree(id=spec_id)))
                assert tree["counts"] == self.model.counts(spec_id)
                assert compared(SPEC, tree["spec"]) == compared(SPEC, self.model.held[kind, spec_id])


TestEntities = Entities.TestCase
TestEntities.settings = settings(max_examples=100, stateful_step_count=20, deadline=None)
