"""Deciding a request: its handler's part, and around it what an Idempotency-Key asks for, the same for every command.

The first sending is decided, and its reply kept by the same transaction; a later one is given that reply, whatever has
become of its subject or of its caller since. What is refused changes nothing and is not kept: it is decided anew. A place
in the queue is not kept either; the repeat waits in the same place, and the transaction that grants it keeps the reply.
Source: guarantees.md G4.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import apsw
import msgspec

from intermute.core.api.contacts import SetPolicy
from intermute.core.api.reservations import Reserve
from intermute.core.fences import HeldFence
from intermute.core.once import Once, as_repeat
from intermute.project.fencing import check_fences
from intermute.project.handlers.table import COMMANDS, fact_fetcher
from intermute.project.handlers.turns import Queued
from intermute.project.mail import Request
from intermute.project.project import check_identity
from intermute.project.state import ProjectState
from intermute.project.transaction import Facts, Transaction
from intermute.store import kept_replies


def needs_facts(request: Request) -> bool:
    """Tell whether the decision needs rows that memory does not hold."""
    return request.once is not None or fact_fetcher(request.command) is not None


def facts_of(requests: Iterable[Request], state: ProjectState) -> Facts:
    """Return where the rows go that these requests need, with what has to be known before they are fetched."""
    # A policy that is set among them may count for those behind it.
    return Facts(is_guarded=bool(state.guarded) or any(isinstance(each.command, SetPolicy) for each in requests))


def fetch_facts(connection: apsw.Connection, request: Request, facts: Facts) -> None:
    """Fetch the rows that the decision needs."""
    if request.once is not None and request.once.place not in facts.kept:
        facts.kept[request.once.place] = kept_replies.of_place(connection, request.once.place)
    if (fetch := fact_fetcher(request.command)) is not None:
        fetch(connection, request.command, facts)


def is_repeat(request: Request, facts: Facts) -> bool:
    """Tell whether the request was applied before, so that it is answered without a change."""
    return request.once is not None and facts.kept[request.once.place] is not None


def decide(request: Request, tx: Transaction) -> Any:  # Any: the operation table says which view.
    """Decide a command, unless its reply is kept: then give that one. Raises: DomainError."""
    if request.once is None:
        check_fences(request.fences, tx)
        return COMMANDS[type(request.command)](request.command, tx)
    if (kept := tx.facts.kept[request.once.place]) is not None:
        return as_repeat(request.once.opened(kept))
    return _decide_first(request.command, request.once, request.fences, tx)


def _decide_first(
    command: object, once: Once, fences: Sequence[HeldFence], tx: Transaction
) -> Any:  # Any: see `decide`.
    tx.state.kept.check_room(tx.now)
    check_identity(tx.state, command, tx.caller)  # Not before: a repeat may have outlived the token it came with.
    check_fences(fences, tx)
    if (wait := tx.state.waiting.of_once(once.place)) is not None:
        assert wait.wish.once is not None
        once.check_same(wait.wish.once.content)
        assert isinstance(command, Reserve), "nothing else waits"
        command = msgspec.structs.replace(command, ticket=wait.wish.claim.id)
    view = COMMANDS[type(command)](command, tx)
    return view if isinstance(view, Queued) else tx.keep(once, view)
