"""How files look: length, names, and who may catch everything (style.md 1, 2, 24)."""

import pytest
from source_tree import (
    FILE_LINES_MAX,
    FUNCTION_LINES_MAX,
    Source,
    broad_handlers,
    long_files,
    long_functions,
    read_tree,
    vague_modules,
)

TREE = read_tree()
SERVICE = [source for source in TREE if not source.path.startswith("tests/")]

CATCHES_ALLOWED = {
    "supervisor/lifecycle.py": 1,  # A crash of a child ends there.
    "supervisor/watchdog.py": 1,  # The application's lever may fail.
    "intermute/web/errors.py": 1,  # A bug costs its own request.
    "intermute/web/server/guard.py": 1,  # Nothing from the network ends the process (design.md 3.9).
    "intermute/web/server/application.py": 1,  # The same, for what an application raises.
    "intermute/embedded.py": 1,  # What ends the service is told to its host, in whose process it runs.
}


def test_files_fit_their_limit() -> None:
    """No file has more than 400 lines."""
    assert long_files(TREE) == []


@pytest.mark.parametrize(
    ("lines", "is_long"), [(FILE_LINES_MAX - 1, False), (FILE_LINES_MAX, False), (FILE_LINES_MAX + 1, True)]
)
def test_file_over_the_limit_is_named(lines: int, is_long: bool) -> None:
    """Control: line 401 is the first too many."""
    assert bool(long_files([Source("a.py", "x = 1\n" * lines)])) == is_long


def test_functions_fit_their_limit() -> None:
    """No function has more than 70 lines."""
    assert long_functions(TREE) == []


@pytest.mark.parametrize(
    ("lines", "is_long"),
    [(FUNCTION_LINES_MAX - 1, False), (FUNCTION_LINES_MAX, False), (FUNCTION_LINES_MAX + 1, True)],
)
def test_function_over_the_limit_is_named(lines: int, is_long: bool) -> None:
    """Control: line 71 of a function is the first too many, in a method as well."""
    body = "        x = 1\n" * (lines - 1)

    problems = long_functions([Source("a.py", f"class A:\n    async def f(self) -> None:\n{body}")])

    assert problems == ([f"a.py:2: f has {lines} lines, at most {FUNCTION_LINES_MAX}"] if is_long else [])


def test_modules_are_named_after_something() -> None:
    """No module or package is called utils, helpers, common, base or manager."""
    assert vague_modules(TREE) == []


@pytest.mark.parametrize("path", ["intermute/core/utils.py", "intermute/helpers/times.py", "supervisor/base.py"])
def test_vague_module_is_named(path: str) -> None:
    """Control: a name that says nothing is reported, of a file or of a package."""
    assert vague_modules([Source(path, "")]) == [f"{path}:1: the name says nothing"]


def test_everything_is_caught_in_few_places() -> None:
    """Only the supervisor, the server's guard and `web/errors.py` catch whatever comes (style.md 24)."""
    assert broad_handlers(SERVICE, CATCHES_ALLOWED) == []


def test_allowed_catches_are_still_there() -> None:
    """The list of exceptions to the rule has no leftovers, which would let a new one in unseen."""
    places = [problem.rsplit(":", 2)[0] for problem in broad_handlers(SERVICE, {})]

    assert {path: places.count(path) for path in places} == CATCHES_ALLOWED


@pytest.mark.parametrize(
    "handler",
    [
        "except Exception:\n    pass",
        "except:\n    pass",
        "except (OSError, Exception) as error:\n    log(error)",
        "except BaseException:\n    raise ValueError from None",
    ],
)
def test_broad_handler_is_named(handler: str) -> None:
    """Control: whoever catches everything is reported with its line."""
    [problem] = broad_handlers([Source("a.py", f"try:\n    f()\n{handler}\n")], {})

    assert problem.startswith("a.py:3: catches ")


@pytest.mark.parametrize("handler", ["except OSError:\n    pass", "except BaseException:\n    close()\n    raise"])
def test_narrow_handler_is_fine(handler: str) -> None:
    """Precise classes, and cleaning up on the way out, are not reported."""
    assert broad_handlers([Source("a.py", f"try:\n    f()\n{handler}\n")], {}) == []
