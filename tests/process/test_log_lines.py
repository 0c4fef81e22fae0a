"""Log lines are lines: no field, whatever it holds, makes a second one or moves a terminal (guarantees.md T18)."""

import io
import json
import logging
from contextlib import redirect_stderr

import pytest

from intermute import logs
from intermute.config import LogFormat

HOSTILE = [
    "a\nb",
    "a\r\nb",
    "\x1b]0;owned\x07",
    "\x1b[2J",
    "a\u202eb",
    "a\u2028b",
    "a\x00b",
    "a\x85b",
    'a" level="error',
    "a=b",
    "",
]


def written(log_format: LogFormat, event: str, **fields: object) -> str:
    """Return what one call writes to standard error; the logger is left as it was found."""
    logger = logging.getLogger("intermute")
    before = (logger.handlers[:], logger.level, logger.propagate)
    with redirect_stderr(io.StringIO()) as text:
        logs.configure(log_format)
        logs.log(event, **fields)
    logger.handlers[:], logger.level, logger.propagate = before
    return text.getvalue()


def failure(text: str) -> RuntimeError:
    """Return an exception that has been raised, and so has a traceback."""
    try:
        raise RuntimeError(text)
    except RuntimeError as error:
        return error


@pytest.mark.parametrize("log_format", list(LogFormat))
@pytest.mark.parametrize("value", HOSTILE)
def test_field_is_one_line_of_printable_text(log_format: LogFormat, value: str) -> None:
    """However a line is split, it is one; every character in it can be printed."""
    [line] = written(log_format, "project.opened", project=value, head=1).removesuffix("\n").splitlines()

    assert line.isprintable()
    if log_format is LogFormat.JSON:
        assert json.loads(line)["project"] == value


@pytest.mark.parametrize("log_format", list(LogFormat))
@pytest.mark.parametrize(("length", "shown"), [(511, 511), (512, 512), (513, 512), (100_000, 512)])
def test_field_has_512_characters_at_most(log_format: LogFormat, length: int, shown: int) -> None:
    """What a client makes long does not fill the disk."""
    line = written(log_format, "project.opened", project="x" * length)

    assert line.count("x" * shown) == 1
    assert "x" * (shown + 1) not in line


@pytest.mark.parametrize("value", HOSTILE)
def test_traceback_forges_no_line(value: str) -> None:
    """The text of an exception may quote a client; in a traceback every line is indented and printable."""
    error = failure(f"before\n2026-11-21T10:00:00.000Z INFO server.started {value}")

    first, *rest = written(LogFormat.TEXT, "request.crashed", operation="x", error=error).removesuffix("\n").split("\n")

    assert first.split(" ")[1:3] == ["ERROR", "request.crashed"]
    assert rest
    assert all(line.startswith("  ") and line.isprintable() for line in rest)


def test_traceback_in_json_is_one_line() -> None:
    """For machines a traceback is a field like the others."""
    [line] = written(LogFormat.JSON, "request.crashed", error=failure("before\n{} after")).splitlines()

    assert "before\n{} after" in json.loads(line)["traceback"]
