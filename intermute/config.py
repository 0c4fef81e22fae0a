"""Settings: everything an operator can choose, parsed and checked once, passed down, never read again from elsewhere."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from intermute.core.limits import BATCH_MAX

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 7338
DEFAULT_DATA: Final = Path("intermute-data")


class LogFormat(StrEnum):
    """How log lines look."""

    TEXT = "text"
    JSON = "json"


class LaneName(StrEnum):
    """What answers plain HTTP requests."""

    FAST = "fast"
    QUART = "quart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `serve` was told."""

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    socket: Path | None = None
    data: Path = DEFAULT_DATA
    keys_file: Path
    log_format: LogFormat = LogFormat.TEXT
    lane: LaneName = LaneName.FAST
    """Plain requests are answered without a framework, or everything goes through Quart; the answers are the same."""
    allowed_hosts: frozenset[str] = field(default_factory=frozenset)
    trusts_local: bool = False
    """Local callers need no key, even where other machines reach the address (guarantees.md T4)."""
    goes_live: bool = True
    """Live messages are put into terminals, by tmux."""
    batch_max: int = BATCH_MAX
    """Commands in one commit; 1 is one commit a request, which only the benchmark wants."""
