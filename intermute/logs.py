"""Log lines: events with fields, as text for people or JSON for machines, on standard error.

Standard logging carries them (docs/decisions/0004-logging.md); this module only decides their shape. Bodies, keys and
tokens never get here. Control characters are escaped, so that no field can forge a line (guarantees.md T18).
"""

import json
import logging
import sys
import time
import traceback
from typing import Any, Final

from intermute.config import LogFormat

_FIELD_CHARS_MAX: Final = 512  # characters of one field; guarantees.md T18.
WARNINGS: Final = frozenset(
    {
        "actor.parked", "breaker.opened", "storage.fault", "storage.read_fault", "storage.close_failed", "project.close_failed",
        "storage.full", "storage.ballast_missing", "storage.ballast_failed",
        "project.quarantined", "keys.reload_failed", "keys.readable_by_others",
        "watchdog.found", "request.poisoned", "server.not_loopback", "server.accept_failed", "server.full",
        "server.crowded", "server.few_descriptors", "server.peer_refused", "connection.stalled", "retention.failed",
        "live.not_noted",
    }
)  # fmt: skip
"""Degraded, but served (style.md 36)."""
ERRORS: Final = frozenset(
    {
        "project.damaged",
        "project.quarantine_failed",
        "request.crashed",
        "actor.crashed",
        "app.failed",
        "connection.failed",
        "server.failed",
    }
)
"""Someone has to look; with a traceback. Whatever stands in neither set is a change of state, at INFO."""

_logger = logging.getLogger("intermute")


def configure(log_format: LogFormat) -> None:
    """Send log lines to standard error in this format."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if log_format is LogFormat.JSON else _TextLines())
    _logger.handlers[:] = [handler]
    _logger.setLevel(logging.INFO)
    _logger.propagate = False


def log(event: str, **fields: Any) -> None:  # Any: whatever a line is about; rendered with str.
    """Write one line. An exception in `error` comes with its traceback where someone has to look."""
    level = logging.ERROR if event in ERRORS else logging.WARNING if event in WARNINGS else logging.INFO
    error = fields.get("error")
    if isinstance(error, BaseException):
        fields["error"] = f"{type(error).__name__}: {error}"
        if level == logging.ERROR:
            fields["traceback"] = "".join(traceback.format_exception(error))
    _logger.log(level, event, extra={"fields": fields})


class _TextLines(logging.Formatter):
    """`2026-11-21T10:00:00.123Z INFO project.opened project=acme head=12`."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = getattr(record, "fields", {})  # Any: see `log`.
        trace = fields.get("traceback")
        shown = " ".join(f"{name}={_quoted(value)}" for name, value in fields.items() if name != "traceback")
        line = f"{_time(record)} {record.levelname} {record.getMessage()} {shown}".rstrip()
        return f"{line}\n{_tame(trace.rstrip())}" if trace else line


class _JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = getattr(record, "fields", {})  # Any: see `log`.
        shown = {name: value if _is_plain(value) else _cut(str(value), name) for name, value in fields.items()}
        return json.dumps(
            {"time": _time(record), "level": record.levelname.lower(), "event": record.getMessage(), **shown},
            default=str,
        )


def _time(record: logging.LogRecord) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float)


def _cut(text: str, name: str) -> str:
    return text if name == "traceback" else text[:_FIELD_CHARS_MAX]


def _tame(trace: str) -> str:
    """Return a traceback with every line indented, so that none passes for a line of the log, and every character printable."""
    lines = trace.splitlines()
    return "\n".join(
        "  " + "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line) for line in lines
    )


def _quoted(value: object) -> str:
    text = str(value)[:_FIELD_CHARS_MAX]
    is_bare = bool(text) and text.isprintable() and not any(character in ' "=' for character in text)
    return text if is_bare else json.dumps(text)
