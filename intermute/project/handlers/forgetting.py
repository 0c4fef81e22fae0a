"""Forgetting replies that have been kept for a repeat for as long as is promised, a slice at a time."""

import apsw

from intermute.core import limits
from intermute.core.once import is_forgettable
from intermute.project.transaction import Facts, Transaction
from intermute.store import kept_replies


def facts_for_forgetting(connection: apsw.Connection, facts: Facts) -> None:
    """Fetch the oldest replies, and one more than are forgotten at once."""
    facts.oldest_kept = kept_replies.oldest(connection, limits.FORGET_MAX + 1)


def forget_replies(tx: Transaction) -> None:
    """Forget what is old enough, as far as it fits into one commit; the rest is due at once."""
    found = tx.facts.oldest_kept
    old = [number for number, at_us in found[: limits.FORGET_MAX] if is_forgettable(at_us, tx.now)]
    last = old[-1] if old else tx.state.kept.first - 1
    oldest_us = next((at_us for number, at_us in found if number > last), None)
    tx.state.kept.forget(last, oldest_us, tx.now)
    if old:
        tx.write(kept_replies.forget(last))
