"""What the tidy tests look at: the tree as parsed files, and one checker for each rule.

A checker takes files and returns what is wrong, each as `path:line: what`. It never imports what it reads, so a bad tree
of a few lines shows that the checker can fail.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
LOOKS_INSIDE: Final = {
    "loadtest/figures/lock_table.py": ("core",),
    "loadtest/figures/claims_table.py": ("core", "project"),
    "loadtest/figures/claims_curve.py": ("core", "project"),
    "loadtest/figures/worst_cases.py": ("core", "project"),
    "loadtest/figures/task_files.py": ("core", "store"),
    "loadtest/figures/isolation.py": ("core", "project", "store"),
    "loadtest/figures/event_reader.py": ("client",),
    "loadtest/figures/message_files.py": ("core", "store"),
}
"""The modules of the load test that measure inside a process, and the layers that they may know."""
PACKAGES: Final = ("intermute", "supervisor", "loadtest", "tests")

LAYERS: Final = ("core", "store", "project", "web", "app", "cli")
"""Imports go from right to left only (design.md 2). A module of no layer (`config`, `logs`) is free for `web` and above."""
UNLAYERED_FROM: Final = LAYERS.index("web")
BESIDE: Final = {"client": ("core",)}
"""Packages beside the layers, and the layers that they may import; only `cli` may import them."""
FILE_LINES_MAX: Final = 400  # style.md 2.
FUNCTION_LINES_MAX: Final = 70  # style.md 2.
VAGUE_NAMES: Final = frozenset({"utils", "helpers", "common", "base", "manager"})
CLOCK_CALLS: Final = frozenset(
    {
        "time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.perf_counter", "time.perf_counter_ns",
        "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "trio.current_time", "trio.sleep",
        "trio.sleep_until",
    }
)  # fmt: skip
CORE_MAY_IMPORT: Final = frozenset({"msgspec"})
"""Beside the standard library."""
CORE_MAY_NOT_IMPORT: Final = frozenset(
    {"time", "logging", "sqlite3", "apsw", "asyncio", "threading", "socket", "subprocess", "os", "random", "secrets"}
)
"""Of the standard library: clocks, logs, files, sockets and chance are handed in (design.md 2)."""


@dataclass(frozen=True)
class Source:
    """One file, parsed. `path` is relative to the root, with `/`."""

    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text, self.path)

    @property
    def module(self) -> str:
        """The dotted name under which it is imported."""
        parts = self.path.removesuffix(".py").split("/")
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@dataclass(frozen=True)
class Import:
    """One imported module, and where."""

    module: str
    line: int


def read_tree(root: Path = ROOT, packages: Sequence[str] = PACKAGES) -> list[Source]:
    """Return every Python file of these packages."""
    return [
        Source(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8"))
        for package in packages
        for path in sorted((root / package).rglob("*.py"))
    ]


def imports_of(source: Source) -> Iterator[Import]:
    """Yield what the file imports, `from package import module` as both."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source.path}:{node.lineno}: relative import"
            assert node.module is not None
            yield Import(node.module, node.lineno)
            yield from (Import(f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def wrong_directions(sources: Iterable[Source]) -> list[str]:
    """Return the imports that go against core, store, project, web, app, cli, or out of what stands beside them."""
    return [
        f"{source.path}:{found.line}: {part} imports {found.module}"
        for source in sources
        if (part := layer_of(source.module) or beside(source.module)) is not None
        for found in imports_of(source)
        if (_is_outside(part, found.module) if part in BESIDE else _is_upward(part, found.module))
    ]


def layer_of(module: str) -> str | None:
    """Return the layer of a module of ours, or None."""
    parts = module.split(".")
    return parts[1] if parts[0] == "intermute" and len(parts) > 1 and parts[1] in LAYERS else None


def beside(module: str) -> str | None:
    """Return the package beside the layers that a module of ours is in, or None."""
    parts = module.split(".")
    return parts[1] if parts[0] == "intermute" and len(parts) > 1 and parts[1] in BESIDE else None


def _is_outside(package: str, imported: str) -> bool:
    if not imported.startswith("intermute."):
        return imported == "supervisor" or imported.startswith("supervisor.")
    return layer_of(imported) not in BESIDE[package] and beside(imported) != package


def _is_upward(layer: str, imported: str) -> bool:
    if imported.partition(".")[0] != "intermute":
        return False
    if beside(imported) is not None:
        return layer != "cli"
    target = layer_of(imported)
    if target is None:
        # `intermute` itself appears in `from intermute.core import x` as well as alone; its version is for web and up.
        return LAYERS.index(layer) < UNLAYERED_FROM and "." in imported
    return LAYERS.index(target) > LAYERS.index(layer)


def foreign_imports(sources: Iterable[Source], standard: frozenset[str]) -> list[str]:
    """Return what core, store and the two packages beside intermute import and must not."""
    return [
        f"{source.path}:{found.line}: imports {found.module}"
        for source in sources
        for found in imports_of(source)
        if not _may_import(source, found.module, standard)
    ]


def _may_import(source: Source, imported: str, standard: frozenset[str]) -> bool:
    package = imported.partition(".")[0]
    match source.path.split("/")[:2]:
        case ["intermute", "core"]:
            if package == "intermute":
                return True  # `wrong_directions` looks at these.
            return package in CORE_MAY_IMPORT or (package in standard and package not in CORE_MAY_NOT_IMPORT)
        case ["intermute", "store"]:
            if package in ("trio", "outcome"):
                return source.path == "intermute/store/hop.py"
            return package in standard | {"apsw", "msgspec", "intermute"}
        case ["supervisor", *_]:
            return package in standard | {"supervisor", "trio"}
        case ["loadtest", *_] if package == "intermute":
            return (layer_of(imported) or beside(imported)) in LOOKS_INSIDE.get(source.path, ())
        case _:
            return True


def long_files(sources: Iterable[Source], lines_max: int = FILE_LINES_MAX) -> list[str]:
    """Return the files with too many lines."""
    return [
        f"{source.path}:{lines}: {lines} lines, at most {lines_max}"
        for source in sources
        if (lines := len(source.text.splitlines())) > lines_max
    ]


def long_functions(sources: Iterable[Source], lines_max: int = FUNCTION_LINES_MAX) -> list[str]:
    """Return the functions with too many lines."""
    return [
        f"{source.path}:{node.lineno}: {node.name} has {lines} lines, at most {lines_max}"
        for source in sources
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > lines_max
    ]


def vague_modules(sources: Iterable[Source]) -> list[str]:
    """Return the modules whose name says nothing."""
    return [
        f"{source.path}:1: the name says nothing"
        for source in sources
        if VAGUE_NAMES.intersection(source.module.split("."))
    ]


def clock_readings(sources: Iterable[Source]) -> list[str]:
    """Return where a clock is read or slept on."""
    found: list[str] = []
    for source in sources:
        found += [
            f"{source.path}:{node.lineno}: reads {_dotted(node)}"
            for node in ast.walk(source.tree)
            if isinstance(node, ast.Attribute) and _dotted(node) in CLOCK_CALLS
        ]
        found += [
            f"{source.path}:{each.line}: imports {each.module}"
            for each in imports_of(source)
            if each.module == "time" or each.module.startswith("time.")
        ]
    return found


def _dotted(node: ast.Attribute) -> str:
    """Return the last two names: `datetime.datetime.now` is as much a clock as `datetime.now`."""
    owner = node.value
    name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
    return f"{name}.{node.attr}"


def awaits(sources: Iterable[Source]) -> list[str]:
    """Return where something is awaited or asynchronous."""
    kinds = (ast.Await, ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith)
    return [
        f"{source.path}:{node.lineno}: {type(node).__name__}"
        for source in sources
        for node in ast.walk(source.tree)
        if isinstance(node, kinds)
    ]


def broad_handlers(sources: Iterable[Source], allowed: Mapping[str, int]) -> list[str]:
    """Return where everything is caught; `allowed` says in which files, and how often.

    A handler that raises again at its end catches nothing: it cleans up, and may name BaseException.
    """
    found: list[str] = []
    for source in sources:
        caught = [
            f"{source.path}:{node.lineno}: catches {_caught(node)}"
            for node in ast.walk(source.tree)
            if isinstance(node, ast.ExceptHandler) and _is_broad(node) and not _raises_again(node)
        ]
        found += caught[allowed.get(source.path, 0) :]
    return found


def _caught(node: ast.ExceptHandler) -> str:
    return "everything" if node.type is None else ast.unparse(node.type)


def _is_broad(node: ast.ExceptHandler) -> bool:
    if node.type is None:
        return True
    kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    return any(isinstance(kind, ast.Name) and kind.id in ("Exception", "BaseException") for kind in kinds)


def _raises_again(node: ast.ExceptHandler) -> bool:
    last = node.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def wrong_messages(messages: Mapping[str, str]) -> list[str]:
    """Return the classes whose message is no sentence of advice: one line, one full stop at its end, a capital first."""
    return [f"{name}: {text!r}" for name, text in messages.items() if not _is_advice(text)]


def _is_advice(text: str) -> bool:
    return (
        len(text) >= 20
        and "\n" not in text
        and not text[0].islower()
        and text.endswith((".", "…"))
        and "None" not in text
    )


def repeated(codes: Iterable[tuple[str, str]]) -> list[str]:
    """Return the (class, code) pairs whose code is empty or taken by another class."""
    owners: dict[str, str] = {}
    found = []
    for name, code in codes:
        if not code:
            found.append(f"{name} has no code")
        elif (other := owners.setdefault(code, name)) != name:
            found.append(f"{name} has the code of {other}: {code}")
    return found
