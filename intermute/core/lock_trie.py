"""An index of patterns by segment: all stored patterns that share a path with a given one, without a scan.

Stored patterns with a common beginning share its nodes, so a question is one walk down the tree, with the positions that
the asked pattern can be in as a row of bits (`lanes`). It answers exactly what `patterns.overlap` answers for each pair.
A walk goes down only where some path leads both sides; where the asked pattern has a plain name next, it looks the name
up instead of trying the children, and finds the wildcards that take this name by their literal ends.

Invariant: a node without patterns at it or below it does not exist, but for the root.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Generic, TypeVar

from intermute.core.errors import PatternTooBroad
from intermute.core.limits import LOOKUP_STEPS_MAX
from intermute.core.pattern_syntax import Alternative, Glob, Name
from intermute.core.patterns import PathLanes, PreparedPattern, a_path_of

Held = TypeVar("Held")

_LOOKUPS_MAX = 4  # names asked for by look-up; with more, trying the children costs about the same (a guess).


class WorkBudget:
    """How many steps one request may cost, however many patterns it has; a pattern such as `*/*/*x` tries every name."""

    __slots__ = ("left",)

    def __init__(self, steps: int = LOOKUP_STEPS_MAX) -> None:
        self.left = steps

    def spend(self) -> None:
        """Take one step. Raises: PatternTooBroad, once there is none left."""
        self.left -= 1
        if self.left < 0:
            raise PatternTooBroad


class LockTrie(Generic[Held]):
    """Holds one thing per alternative of a pattern."""

    __slots__ = ("_root",)

    def __init__(self) -> None:
        self._root: _Node[Held] = _Node()

    def setdefault(self, alternative: Alternative, held: Held) -> Held:
        """Return what hangs at this alternative; hang the given thing there first where it is free."""
        node = self._root
        is_deep = alternative[-1] is None
        for name in alternative[:-1] if is_deep else alternative:
            node = node.made_child(name)
        if is_deep:
            node.below = held if node.below is None else node.below
            return node.below
        node.exact = held if node.exact is None else node.exact
        return node.exact

    def drop(self, alternative: Alternative) -> None:
        """Take away the thing that hangs at this alternative, and every node that only led there."""
        is_deep = alternative[-1] is None
        way: list[tuple[_Node[Held], Name | None]] = []
        node = self._root
        for name in alternative[:-1] if is_deep else alternative:
            way.append((node, name))
            child = node.child(name)
            assert child is not None
            node = child
        if is_deep:
            node.below = None
        else:
            node.exact = None
        for parent, name in reversed(way):
            if not node.is_bare():
                break
            parent.drop_child(name)
            node = parent

    def node_count(self) -> int:
        """Return the number of nodes besides the root."""
        count, nodes = -1, [self._root]
        while nodes:
            count += 1
            nodes.extend(nodes.pop().children())
        return count

    @property
    def is_empty(self) -> bool:
        """Whether nothing hangs anywhere."""
        return self._root.is_bare()

    def meeting(self, asked: PreparedPattern, budget: WorkBudget) -> Iterator[Held]:
        """Yield what hangs at each alternative that shares a path with the asked pattern, in a stable order.

        Lazy: taking the first few costs little. A thing that hangs at several alternatives may come several times.
        Raises: PatternTooBroad, while it is being taken from, once the budget is spent.
        """
        if asked.names is None:
            return _meeting(self._root, asked.lanes.entry(), asked.lanes, budget)
        return _by_names(self._root, asked.names, lambda: asked.lanes, _everything, budget)

    def inside(self, asked: PreparedPattern, budget: WorkBudget) -> Iterator[Held]:
        """Yield what hangs at each alternative that may lie inside the asked pattern: all that does, and some besides.

        A root glob such as `**/*.py` overlaps everything, so whoever asks only for what it contains would otherwise be
        shown the whole index. Lazy, and with the same bounds as `meeting`. Raises: PatternTooBroad.
        """
        if asked.names is None:
            return _inside(self._root, asked.lanes.entry(), asked.lanes, budget)
        return _inside_node(self._root, asked.names, asked, budget)

    def around(self, asked: PreparedPattern, budget: WorkBudget) -> Iterator[Held]:
        """Yield what hangs at each alternative that may contain the asked pattern: all that does, and some besides.

        What contains the whole pattern has any one path of it, and to ask for a path costs no more than a path.
        Lazy, and with the same bounds as `meeting`. Raises: PatternTooBroad.
        """
        names = asked.names
        if names is None:
            lanes = PathLanes((a_path_of(asked.pattern),))
            return _meeting(self._root, lanes.entry(), lanes, budget)
        return _by_names(self._root, names, lambda: PathLanes((names,)), _here, budget)


class _Node(Generic[Held]):
    __slots__ = ("below", "exact", "globs", "names", "star")

    def __init__(self) -> None:
        self.below: Held | None = None
        """What names this node and everything below it."""
        self.exact: Held | None = None
        self.names: dict[str, _Node[Held]] | None = None
        self.globs: _GlobChildren[Held] | None = None
        self.star: _Node[Held] | None = None

    def child(self, name: Name | None) -> "_Node[Held] | None":
        if name is None:
            return self.star
        if isinstance(name, str):
            return self.names.get(name) if self.names else None
        return self.globs.get(name) if self.globs else None

    def made_child(self, name: Name | None) -> "_Node[Held]":
        child = self.child(name)
        if child is not None:
            return child
        child = _Node()
        if name is None:
            self.star = child
        elif isinstance(name, str):
            self.names = self.names or {}
            self.names[name] = child
        else:
            self.globs = self.globs or _GlobChildren()
            self.globs.put(name, child)
        return child

    def drop_child(self, name: Name | None) -> None:
        if name is None:
            self.star = None
        elif isinstance(name, str):
            assert self.names is not None
            del self.names[name]
            self.names = self.names or None
        else:
            assert self.globs is not None
            self.globs.drop(name)
            self.globs = self.globs if self.globs.by_end else None

    def children(self) -> "Iterator[_Node[Held]]":
        yield from (self.names or {}).values()
        if self.globs is not None:
            yield from (child for _, child in self.globs.all())
        if self.star is not None:
            yield self.star

    def is_bare(self) -> bool:
        return not (self.names or self.globs or self.star) and self.below is None and self.exact is None


class _GlobChildren(Generic[Held]):
    """The wildcard children of a node, by the longer one of their literal ends.

    Thousands of globs on one node are usual (`*_test.py`, `test_a*.py`); a name needs to be held against those only whose
    suffix it has, or whose prefix.
    """

    __slots__ = ("by_end",)

    def __init__(self) -> None:
        self.by_end: dict[tuple[bool, str], dict[Glob, _Node[Held]]] = {}

    def get(self, name: Glob) -> _Node[Held] | None:
        return self.by_end.get(_end_of(name), {}).get(name)

    def put(self, name: Glob, child: _Node[Held]) -> None:
        self.by_end.setdefault(_end_of(name), {})[name] = child

    def drop(self, name: Glob) -> None:
        end = _end_of(name)
        del self.by_end[end][name]
        if not self.by_end[end]:
            del self.by_end[end]

    def all(self) -> Iterator[tuple[Glob, _Node[Held]]]:
        for children in self.by_end.values():
            yield from children.items()

    def taking(self, name: str) -> Iterator[tuple[Glob, _Node[Held]]]:
        """Yield the children that may take this name."""
        by_end = self.by_end
        if len(by_end) <= _LOOKUPS_MAX:
            for (is_suffix, end), children in by_end.items():
                if name.endswith(end) if is_suffix else name.startswith(end):
                    yield from children.items()
            return
        for at in range(len(name) + 1):
            for key in ((True, name[at:]), (False, name[:at])):
                if key in by_end:
                    yield from by_end[key].items()


def _end_of(name: Glob) -> tuple[bool, str]:
    """Return whether the suffix is the longer end, and the longer end."""
    is_suffix = len(name.suffix) >= len(name.prefix)
    return is_suffix, name.suffix if is_suffix else name.prefix


def _meeting(node: _Node[Held], row: int, lanes: PathLanes, budget: WorkBudget) -> Iterator[Held]:
    """Yield what is met at this node and below; recursion is as deep as a pattern has segments, twice over."""
    if node.below is not None:
        yield node.below
    if node.exact is not None and row & lanes.ends:
        yield node.exact
    if node.names is not None or node.globs is not None:
        for name, child in _next_children(node, row, lanes):
            budget.spend()
            after = lanes.step(row, name)
            if after:
                yield from _meeting(child, after, lanes, budget)
    if node.star is not None:
        yield from _meeting(node.star, lanes.spread(row), lanes, budget)


def _by_names(
    root: _Node[Held],
    names: tuple[str, ...],
    lanes: Callable[[], PathLanes],
    at_the_end: "Callable[[_Node[Held], WorkBudget], Iterator[Held]]",
    budget: WorkBudget,
) -> Iterator[Held]:
    """Yield what `_meeting` does for plain names: a walk by them, until wildcards are held on the way.

    Args: lanes, lays the same pattern out for the rest of the way then; at_the_end, what is met behind the last name.
    """
    node = root
    for at, name in enumerate(names):
        if node.globs is not None or node.star is not None:
            yield from _meeting(node, 1 << at, lanes(), budget)
            return
        if node.below is not None:
            yield node.below
        child = node.names.get(name) if node.names is not None else None
        if child is None:
            return
        budget.spend()
        node = child
    yield from at_the_end(node, budget)


def _inside_node(
    root: _Node[Held], names: tuple[str, ...], asked: PreparedPattern, budget: WorkBudget
) -> Iterator[Held]:
    """Yield what may lie inside a pattern without wildcards; a `**` on the way does not, it leads elsewhere as well."""
    node = root
    for at, name in enumerate(names):
        if node.globs is not None:
            yield from _inside(node, 1 << at, asked.lanes, budget)
            return
        child = node.names.get(name) if node.names is not None else None
        if child is None:
            return
        budget.spend()
        node = child
    yield from _everything(node, budget)


def _here(node: _Node[Held], _budget: WorkBudget) -> Iterator[Held]:
    """Yield what hangs at this node alone."""
    if node.below is not None:
        yield node.below
    if node.exact is not None:
        yield node.exact


def _everything(node: _Node[Held], budget: WorkBudget) -> Iterator[Held]:
    """Yield what hangs at this node and below."""
    if node.below is not None:
        yield node.below
    if node.exact is not None:
        yield node.exact
    if node.names is not None:
        for child in node.names.values():
            budget.spend()
            yield from _everything(child, budget)
    if node.globs is not None:
        for _, child in node.globs.all():
            budget.spend()
            yield from _everything(child, budget)
    if node.star is not None:
        yield from _everything(node.star, budget)


def _inside(node: _Node[Held], row: int, lanes: PathLanes, budget: WorkBudget) -> Iterator[Held]:
    """Yield what may lie inside the asked pattern.

    A stored `*` or `**` stands for endlessly many names, and only what stands for endlessly many itself can take them
    all. So there the walk goes on from such positions alone, and with `**` as if it stood for one name.
    """
    if node.below is not None:
        yield node.below
    if node.exact is not None and row & lanes.ends:
        yield node.exact
    endless = row & lanes.endless
    if node.names is not None or node.globs is not None:
        for name, child in _next_children(node, row, lanes):
            budget.spend()
            after = lanes.step(endless if isinstance(name, Glob) and None in name.tokens else row, name)
            if after:
                yield from _inside(child, after, lanes, budget)
    if node.star is not None and endless:
        stars = endless & lanes.stars
        row = (endless & ~stars) << 1 | stars
        yield from _inside(node.star, row | (row & lanes.stars) << 1, lanes, budget)


def _next_children(node: _Node[Held], row: int, lanes: PathLanes) -> Iterable[tuple[Name, _Node[Held]]]:
    """Return the named children that a step from these positions may reach, each once."""
    asked = lanes.plain_names_at(row, _LOOKUPS_MAX)
    if asked is None:
        return chain((node.names or {}).items(), node.globs.all() if node.globs is not None else ())
    # A glob may take several of the names; walking it once for each would double the work at every level.
    found: dict[Name, _Node[Held]] = {}
    for name in asked:
        child = node.names.get(name) if node.names else None
        if child is not None:
            found[name] = child
        if node.globs is not None:
            found.update(node.globs.taking(name))
    return found.items()
