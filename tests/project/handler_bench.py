"""A project without an actor: handlers on memory and a database in memory, with the time in the test's hand.

It does what the actor does and nothing else: fetch facts, decide a batch in order, store it in one go, note that it is
stored. No trio, no HTTP, no mock (design.md 3.6).
"""

import random
from collections.abc import Sequence
from typing import Any, Final

import apsw
import msgspec

from intermute.core.agents import Caller, hash_of_token
from intermute.core.api.agents import Heartbeat, RegisterAgent, Registered
from intermute.core.api.messages import Inbox, MessagePage, SendMessage, Sent
from intermute.core.api.reservations import ReservationView, Reserve
from intermute.core.errors import DomainError
from intermute.core.events import Event
from intermute.core.ids import Micros, ProjectName
from intermute.core.once import Once, Reply
from intermute.core.times import SECOND_US, Now
from intermute.project.deciding import decide, facts_of, fetch_facts
from intermute.project.handlers.liveness import Tick, expire_due
from intermute.project.handlers.table import QUERIES
from intermute.project.mail import Request
from intermute.project.state import ProjectState, load_state
from intermute.project.transaction import Desk, FromStore, Transaction
from intermute.store import events as event_rows
from intermute.store import projects
from intermute.store.migrate import migrate
from intermute.store.statements import Statement
from intermute.store.unread import UnreadWatch

DEMO: Final = ProjectName("demo")
LOCAL: Final = Caller(is_local=True)
REMOTE: Final = Caller(is_local=False)
START_US: Final = Micros(1_784_714_400_000_000)
START_S: Final = 1000.0


Keyed = tuple[object, Caller, Once]
"""A command, who asks, and what it is to be repeated by."""
Asked = tuple[object, Caller] | tuple[object, Caller, Once | None]
"""A command and who asks, with or without a key."""


def claiming(agent: str, *, is_local: bool = True) -> Caller:
    """Return a caller with X-Agent-ID and no token."""
    return Caller(is_local=is_local, claims=agent)


def keyed(question: Any, key: str = "k", caller: Caller = LOCAL) -> Keyed:  # Any: a command.
    """Return a command as it comes with an Idempotency-Key."""
    return question, caller, Once.of(key, caller, question, lambda view: Reply(200, msgspec.json.encode(view)))


def proving(registered: Registered) -> Caller:
    """Return a caller with the agent's token."""
    return Caller(is_local=False, claims=registered.agent_id, token_hash=hash_of_token(registered.token))


def bench_of(*names: str) -> "Bench":
    """Return a project with these agents."""
    made = Bench()
    for name in names:
        made.register(name)
    return made


class Bench:
    """One project. `reply = bench.run(command)` is one commit; `bench.batch(...)` puts several into one."""

    def __init__(self, seed: int = 1) -> None:
        self.connection = apsw.Connection(":memory:")
        migrate(self.connection, START_US)
        projects.create(self.connection, DEMO, START_US)
        self.unread = UnreadWatch(self.connection)
        self.mono_s = START_S
        self.wall_us = START_US
        self.random_bits = random.Random(seed).getrandbits
        self.state = self.loaded(None)

    def now(self) -> Now:
        """Read both clocks; wall time grows by a microsecond at least, as the project's clock sees to."""
        self.wall_us = Micros(self.wall_us + 1)
        return Now(self.mono_s, self.wall_us)

    def wait(self, seconds: float, *, wall_s: float | None = None) -> None:
        """Let time pass; the wall clock may go its own way, but never back."""
        self.mono_s += seconds
        self.wall_us = Micros(self.wall_us + round((seconds if wall_s is None else wall_s) * SECOND_US))

    def run(
        self, command: object, caller: Caller = LOCAL, once: Once | None = None
    ) -> Any:  # Any: each command has a view of its own.
        """Decide and store one command, and return its reply or raise its refusal."""
        [outcome] = self.batch((command, caller, once))
        if isinstance(outcome, DomainError):
            raise outcome
        return outcome

    def batch(self, *commands: Asked) -> list[Any]:  # Any: as `run`; a refusal is its error.
        """Decide several commands, then store them together, and return the outcomes."""
        outcomes, transactions = self.decide(*commands)
        self.store(transactions)
        return outcomes

    def decide(self, *commands: Asked) -> tuple[list[Any], list[Transaction]]:  # Any: as `batch`.
        """Decide several commands on one set of facts; nothing is stored yet."""
        requests = [Request(*each) for each in commands]
        facts = facts_of(requests, self.state)
        for request in requests:
            fetch_facts(self.connection, request, facts)
        housekeeping = Transaction(self.state, self.now(), LOCAL, facts, self.random_bits)
        expire_due(housekeeping)
        outcomes: list[Any] = []
        transactions = [housekeeping]
        for request in requests:
            transaction = Transaction(self.state, self.now(), request.caller, facts, self.random_bits, request.once)
            try:
                outcomes.append(decide(request, transaction))
            except DomainError as refusal:
                assert not transaction.statements, "refused after a change"
                outcomes.append(refusal)
            transactions.append(transaction)
        return outcomes, transactions

    def store(self, transactions: Sequence[Transaction]) -> None:
        """Commit what was decided."""
        statements: list[Statement] = [each for transaction in transactions for each in transaction.statements]
        if statements:
            with self.connection:
                row = projects.read(self.connection)
                assert row is not None
                digest = row.chain_head
                for statement in statements:
                    digest = event_rows.execute(self.connection, statement, digest)
                self.state.batch += 1
                self.connection.execute(*projects.advance(self.state.head, self.state.batch, self.wall_us, digest))
            self.state.stored()
            self.state.note_unread(self.unread.take())

    def ask(self, query: object, caller: Caller = LOCAL) -> Any:  # Any: as `run`.
        """Answer a query from memory and from what is stored."""
        answer = QUERIES[type(query)](query, Desk(self.state, self.now(), caller))
        return answer.work(self.connection) if isinstance(answer, FromStore) else answer

    def events(self, after: int = 0) -> list[Event]:
        """Return the stored log."""
        return event_rows.after(self.connection, after, 10_000)

    def loaded(self, previous: ProjectState | None) -> ProjectState:
        """Return the memory as a new run of the actor builds it."""
        row = projects.read(self.connection)
        assert row is not None
        return load_state(self.connection, row, self.now(), previous)

    def restart(self) -> None:
        """Start the actor anew in a new process: nothing of the old memory is known."""
        self.state = self.loaded(None)

    def crash(self) -> None:
        """Start the actor anew in this process: the old memory tells what the disk cannot hold."""
        self.state = self.loaded(self.state)

    def tick(self, *, flushes_heartbeats: bool = False) -> None:
        """Do what is due."""
        self.run(Tick(flushes_heartbeats))

    def register(self, name: str | None = None, session_id: str | None = None, caller: Caller = LOCAL) -> Registered:
        """Register an agent."""
        reply = self.run(RegisterAgent(name=name, session_id=session_id), caller)
        assert isinstance(reply, Registered)
        return reply

    def heartbeat(self, agent: str) -> None:
        """Send a sign of life."""
        self.ask(Heartbeat(agent=agent))

    def reserve(self, agent: str, pattern: str, *, shared: bool = False, ttl_s: int | None = None) -> ReservationView:
        """Reserve one pattern."""
        command = Reserve(agent_id=agent, path_pattern=pattern, exclusive=not shared, ttl_seconds=ttl_s)
        reply = self.run(command)
        assert isinstance(reply, ReservationView)
        return reply

    def held(self, agent: str) -> list[str]:
        """Return the first patterns of what an agent holds."""
        return [each.asked[0].target.text for each in self.state.leases.held_by(self.state.agents.canonical(agent))]

    def send(self, sender: str, *to: str, message_id: str | None = None, body: str = "hello") -> Sent:
        """Send a message."""
        reply = self.run(SendMessage(sender=sender, to=list(to), id=message_id, body=body))
        assert isinstance(reply, Sent)
        return reply

    def inbox(self, agent: str, since: int = 0) -> MessagePage:
        """Read an inbox."""
        page = self.ask(Inbox(agent=agent, since_cursor=since))
        assert isinstance(page, MessagePage)
        return page
