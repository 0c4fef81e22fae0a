"""What agents do to code, and how badly two such doings on one symbol go together.

Decided here and nowhere else: the vocabulary, the confidence of each pair, and what a pair is called. An operation
explains a clash, it never makes or unmakes one. Source: claims.md 6; the eight words of the Muse version-control system,
and `create` and `read`.
"""

from enum import StrEnum
from typing import Final, NamedTuple

from intermute.core.lock_table import Mode
from intermute.core.relations import Relation


class Operation(StrEnum):
    """What is done to a target."""

    READ = "read"
    MODIFY = "modify"
    EXTRACT = "extract"
    RENAME = "rename"
    MOVE = "move"
    SPLIT = "split"
    MERGE = "merge"
    INLINE = "inline"
    DELETE = "delete"
    CREATE = "create"


class WorkKind(StrEnum):
    """What two operations on the same symbol are to each other."""

    OVERLAP = "overlap"
    """Two edits; how the targets lie to each other says more."""
    OPERATION_CONFLICT = "operation_conflict"
    CREATE_COLLISION = "create_collision"
    REDUNDANT_WORK = "redundant_work"
    DELETE_USE = "delete_use"
    READ_WRITE = "read_write"


class WorkClash(NamedTuple):
    """How sure it is that the one spoils the other, and in what way."""

    kind: WorkKind
    confidence: float


OPERATION_BY_NAME: Final = {**{operation.value: operation for operation in Operation}, "refactor": Operation.MODIFY}
"""Every accepted spelling, in small letters."""

REMOVING: Final = frozenset(
    {Operation.RENAME, Operation.MOVE, Operation.SPLIT, Operation.MERGE, Operation.INLINE, Operation.DELETE}
)
"""They take the symbol away from its address."""
CREATING: Final = frozenset(
    {Operation.RENAME, Operation.MOVE, Operation.EXTRACT, Operation.SPLIT, Operation.MERGE, Operation.CREATE}
)
"""They put something at the address `to`."""

NESTED_EDITS_CONFIDENCE: Final = 0.6
PARTIAL_CONFIDENCE: Final = 0.5

_EDITING: Final = frozenset({Operation.MODIFY, Operation.EXTRACT})
_RELOCATING: Final = frozenset({Operation.RENAME, Operation.MOVE})
_SAME_WORK: Final = WorkClash(WorkKind.REDUNDANT_WORK, 0.3)


def mode_of(operation: Operation) -> Mode:
    """Return the mode that this work needs."""
    return Mode.S if operation is Operation.READ else Mode.X


def implied_operation(operation: Operation | None, mode: Mode) -> Operation:
    """Return what is done: as stated, else what the mode suggests."""
    if operation is not None:
        return operation
    return Operation.READ if mode in (Mode.S, Mode.IS) else Operation.MODIFY


def work_clash(
    relation: Relation, a: Operation, b: Operation, *, is_same_destination: bool = False
) -> WorkClash | None:
    """Tell how two holders' operations go together, or None where they do; `relation` is how a's target lies to b's.

    Whoever takes away the outer one takes the inner one with it; any other outer work may or may not reach the inner one.
    """
    if relation is Relation.DISJOINT:
        return None
    found = on_one_symbol(a, b, is_same_destination=is_same_destination and relation is Relation.EQUAL)
    if found is None or relation in (Relation.EQUAL, Relation.UNKNOWN):
        return found
    if relation is Relation.PARTIAL:
        cap = PARTIAL_CONFIDENCE
    else:
        outer = a if relation is Relation.CONTAINS else b
        if outer in REMOVING or outer is Operation.CREATE:
            return found
        cap = NESTED_EDITS_CONFIDENCE
    is_reading = Operation.READ in (a, b)
    return WorkClash(found.kind if is_reading else WorkKind.OVERLAP, min(found.confidence, cap))


def on_one_symbol(a: Operation, b: Operation, *, is_same_destination: bool = False) -> WorkClash | None:
    """Tell how two operations on the same symbol go together, or None where they do. Symmetric."""
    pair = {a, b}
    if Operation.READ in pair:
        return _against_reading(b if a is Operation.READ else a)
    if Operation.CREATE in pair:
        return WorkClash(WorkKind.CREATE_COLLISION, 0.95 if a is b else 0.9)
    if Operation.DELETE in pair:
        return _SAME_WORK if a is b else WorkClash(WorkKind.OPERATION_CONFLICT, 0.9)
    if pair <= _EDITING:
        return WorkClash(WorkKind.OVERLAP, 1.0)
    if pair & _EDITING:
        return WorkClash(WorkKind.OPERATION_CONFLICT, 0.8)
    if a is b and a in _RELOCATING:
        return _SAME_WORK if is_same_destination else WorkClash(WorkKind.OPERATION_CONFLICT, 0.95)
    return WorkClash(WorkKind.OPERATION_CONFLICT, 0.85)


def _against_reading(other: Operation) -> WorkClash | None:
    if other in (Operation.READ, Operation.CREATE):
        return None
    return WorkClash(WorkKind.READ_WRITE, 0.4) if other in _EDITING else WorkClash(WorkKind.DELETE_USE, 0.75)
