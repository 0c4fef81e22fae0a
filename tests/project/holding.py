"""A project where a message may have to wait for its recipient's approval, and what is to be seen of it."""

from handler_bench import Bench, bench_of

from intermute.core.api.contacts import HeldView, ListHeld, SetPolicy
from intermute.core.api.messages import SendMessage, Sent
from intermute.core.contacts import OnDenied


def guarded_bench() -> Bench:
    """Return a project with the agents anna, ben (who takes messages from contacts alone) and carl."""
    made = bench_of("anna", "ben", "carl")
    made.run(SetPolicy(agent="ben", policy="contacts_only"))
    return made


def hold(bench: Bench, *to: str, message_id: str = "m1", **more: object) -> Sent:
    """Send something that is to be kept for who does not take it."""
    command = SendMessage(sender="anna", to=list(to), id=message_id, on_denied=OnDenied.HOLD, **more)  # type: ignore[arg-type] # fields.
    sent = bench.run(command)
    assert isinstance(sent, Sent)
    return sent


def held(bench: Bench, agent: str) -> list[HeldView]:
    """Return what waits for an agent."""
    return list(bench.ask(ListHeld(agent=agent)).held)


def types(bench: Bench, after: int) -> list[tuple[str, frozenset[str] | None]]:
    """Return the events after a cursor, with the names of those they are for."""
    name_of = bench.state.agents.name_of
    return [
        (each.type, None if each.audience is None else frozenset(map(name_of, each.audience)))  # type: ignore[arg-type] # ids.
        for each in bench.events(after)
    ]
