"""The rows of one project on their way in: each is read, looked up, decided and stored, or left out with the reason.

What is here already (the same id, made at the same time) stays as it is, so a second run changes nothing; something else
under the same id stays too, and its row is left out.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from intermute.core.agents import Caller
from intermute.core.entities.definition import Entity
from intermute.core.entities.kinds import CUJ, ENTITIES
from intermute.core.errors import DomainError, InvalidRequest
from intermute.core.ids import AgentId, Micros, ProjectName, RandomBits
from intermute.core.original.agents import agent_of
from intermute.core.original.contacts import contact_of
from intermute.core.original.entities import MADE_AT, entity_of, link_of
from intermute.core.original.messages import label_of, message_of
from intermute.core.original.report import ProjectReport, Tally
from intermute.core.original.reservations import OVER, reservation_of
from intermute.core.original.rows import LeftOut, Row, visible
from intermute.core.times import Now
from intermute.project.handlers.entity_facts import facts_for_entity
from intermute.project.handlers.journeys import facts_for_journey_link
from intermute.project.handlers.messages import facts_for_send
from intermute.project.handlers.taking_over import (
    TakingOver,
    take_agent,
    take_contact,
    take_entity,
    take_link,
    take_message,
    take_reservation,
)
from intermute.project.state import load_state
from intermute.project.transaction import Facts
from intermute.store import agents as agent_rows
from intermute.store import reservations as reservation_rows
from intermute.store.intake import Intake
from intermute.store.original import Original
from intermute.store.original_tables import IMPORTED

_NAMED_BY: Final = {
    "messages": ("message_id",),
    "cuj_feature_links": ("cuj_id", "feature_id"),
    "agent_contacts": ("agent_id", "contact_agent_id"),
}
_NO_TIME_PASSES_S: Final = 0.0  # the monotonic time of an import: nothing runs out during one.

_Taker = Callable[[Row, bytes, TakingOver], list[str]]


class _AlreadyHere(Exception):
    """The row was taken before."""


class RowsImport:
    """The import of one project, in its transaction."""

    def __init__(
        self, original: Original, project: ProjectName, taking: Intake, report: ProjectReport, random_bits: RandomBits
    ) -> None:
        self._original, self._taking, self._report, self._random_bits = original, taking, report, random_bits
        self._now = Now(_NO_TIME_PASSES_S, taking.now_us)
        self._state = load_state(taking.connection, taking.row, self._now, None)
        assert self._state.name == project
        self._arrived: set[AgentId] = set()
        """The agents that have come in by this import."""
        self._takers: Mapping[str, _Taker] = {
            "agents": self._take_agent,
            "agent_contacts": self._take_contact,
            "messages": self._take_message,
            "cuj_feature_links": self._take_link,
            "file_reservations": self._take_reservation,
            **{entity.plural: partial(self._take_entity, entity) for entity in ENTITIES},
        }

    @property
    def head(self) -> int:
        """The log's last cursor so far."""
        return self._state.head

    def run(self, called: Sequence[bytes], on_row: Callable[[], None]) -> None:
        """Look at every row and take what can be taken. Raises: NotTheOriginals, StoreFault."""
        for table in IMPORTED:
            self._report.kinds[table] = Tally()
            for raw in called:
                for row in self._original.rows(table, raw):
                    self._look_at(table, raw, row)
                    on_row()

    def _look_at(self, table: str, raw: bytes, row: Row) -> None:
        tally, name = self._report.kinds[table], label_of(row, *_NAMED_BY.get(table, ("id",)))
        tx = TakingOver(
            state=self._state,
            now=self._now,
            caller=Caller(is_local=True),
            facts=Facts(),
            random_bits=self._random_bits,
            logged_at_us=self._now.wall_us,
        )
        try:
            notes = self._takers[table](row, raw, tx)
        except _AlreadyHere:
            tally.already_here += 1
        except (LeftOut, DomainError) as refused:
            # A refusal comes before the first change, so neither memory nor the file knows of the row.
            assert not tx.statements, f"{table} {name}: refused after it was changed"
            self._report.leave_out(table, name, _reason(refused), is_named=_reason(refused) != OVER)
        else:
            self._taking.store(tx.statements)
            tally.taken += 1
            self._report.change(table, name, [visible(note) for note in notes])

    def _take_agent(self, row: Row, _raw: bytes, tx: TakingOver) -> list[str]:
        found = agent_of(row, self._now.wall_us)
        if agent_rows.is_known(self._taking.connection, found.id):
            raise _AlreadyHere
        take_agent(found, tx)
        self._arrived.add(found.id)
        return found.notes

    def _take_contact(self, row: Row, _raw: bytes, tx: TakingOver) -> list[str]:
        found = contact_of(row, self._now.wall_us)
        agents, other = self._state.agents, found.asked.other
        if self._state.contacts.get(found.owner, agents.canonical(other)) is not None:
            raise _AlreadyHere
        if agents.of_id(found.owner) is None:
            raise LeftOut("its agent is not here")
        if found.owner not in self._arrived:  # Whom it has taken out since must not come back.
            raise LeftOut("its agent was here before, and its list is its own")
        if agents.find(other) is None and self._original.has_agent(other):
            raise LeftOut("the contact is of another project, or was left out itself")
        take_contact(found, tx)
        return found.notes

    def _take_entity(self, entity: Entity, row: Row, _raw: bytes, tx: TakingOver) -> list[str]:
        found = entity_of(entity, row, self._now.wall_us)
        facts_for_entity(self._taking.connection, found.asked, tx.facts)
        known = tx.facts.entities.get((entity.kind, found.asked.id.strip("/")))
        if known is not None:
            made_at = next(name for name in MADE_AT if name in entity.by_name)
            _refuse_known(known[made_at], found.made_at_us, entity.kind)
        take_entity(entity, found, tx)
        return found.notes

    def _take_link(self, row: Row, _raw: bytes, tx: TakingOver) -> list[str]:
        found = link_of(row, self._now.wall_us)
        facts_for_journey_link(self._taking.connection, found.asked, tx.facts)
        if found.asked.feature_id in tx.facts.cuj_links[found.asked.id]:
            raise _AlreadyHere
        if tx.facts.entities[CUJ.kind, found.asked.id] is None:
            raise LeftOut("its journey is not here")
        take_link(found, tx)
        return found.notes

    def _take_message(self, row: Row, raw: bytes, tx: TakingOver) -> list[str]:
        found = message_of(row, self._original.recipients(raw, row), self._now.wall_us)
        facts_for_send(self._taking.connection, found.asked, tx.facts)
        known = tx.facts.messages.get(found.asked.id or "")
        if known is not None:
            is_its_senders = known.sender == found.asked.sender
            _refuse_known(known.created_at_us if is_its_senders else None, found.created_at_us, "message")
        take_message(found, tx)
        return found.notes

    def _take_reservation(self, row: Row, _raw: bytes, tx: TakingOver) -> list[str]:
        found = reservation_of(row, self._now.wall_us)
        if reservation_rows.one(self._taking.connection, found.id) is not None:
            raise _AlreadyHere
        take_reservation(found, tx)
        return found.notes


def _refuse_known(known_us: Micros | None, found_us: Micros | None, what: str) -> None:
    """Tell the same thing, which has come in before, from another one under its id. Raises: _AlreadyHere, LeftOut."""
    if known_us is not None and found_us in (None, known_us):
        raise _AlreadyHere
    raise LeftOut(f"another {what} has this id here")


def _reason(refused: LeftOut | DomainError) -> str:
    if isinstance(refused, LeftOut):
        return visible(refused.reason)
    if isinstance(refused, InvalidRequest):
        return visible("; ".join(f"{field}: {problem}" for field, problem in refused.problems))
    return visible(refused.message)
