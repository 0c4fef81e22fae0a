"""Where the service is, as whom it is called, and how patient the client is.

What is not said comes from the environment: INTERMUTE_URL, INTERMUTE_API_KEY, INTERMUTE_PROJECT, INTERMUTE_AGENT_NAME (else
INTERMUTE_AGENT). An argument wins, also over an empty variable.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

DEFAULT_URL: Final = "http://127.0.0.1:7338"
_SCHEMES: Final = frozenset({"http", "https"})


class BadSettings(ValueError):
    """The client cannot be set up as it was told to; the text says what to mend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often and how long a call is repeated, where repeating it is safe.

    The pause before the n-th repetition is drawn between nothing and `first_s` times 2 to the n, at most `longest_s`; a
    Retry-After of the server is waited for in any case, and comes on top.
    """

    attempts_max: int = 10  # sendings of one call; with the pauses below they take up to 26 s. A guess.
    first_s: float = 0.1  # seconds; a server that restarts is back within one.
    longest_s: float = 5.0  # seconds.
    patience_s: float = 30.0  # seconds from the first sending to the last, beside what a call waits for on purpose.

    def __post_init__(self) -> None:
        if self.attempts_max < 1 or min(self.first_s, self.longest_s, self.patience_s) < 0:
            raise BadSettings("retries: attempts_max is 1 or more, and no time is negative")


ONCE: Final = Retries(attempts_max=1)
"""Nothing is repeated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """What a client was told. `api_key` is not shown when this is printed."""

    url: str = DEFAULT_URL
    api_key: str | None = field(default=None, repr=False)
    project: str | None = None
    agent_name: str | None = None
    timeout_s: float = 10.0  # seconds for one answer; the server gives up after 8. What a call waits for comes on top.
    retries: Retries = field(default_factory=Retries)

    def __post_init__(self) -> None:
        _check_url(self.url)
        if self.api_key is not None and not _is_plain(self.api_key):
            raise BadSettings("INTERMUTE_API_KEY (api_key) holds something that cannot be a key: copy it again")
        if self.timeout_s <= 0:
            raise BadSettings("timeout_s is above 0")

    @property
    def is_encrypted(self) -> bool:
        """Tell whether the service is reached over TLS."""
        return self.url.startswith("https:")


def settings_from(
    environment: Mapping[str, str] | None = None,
    *,
    url: str | None = None,
    api_key: str | None = None,
    project: str | None = None,
    agent_name: str | None = None,
    timeout_s: float | None = None,
    retries: Retries | None = None,
) -> ClientSettings:
    """Return the settings of these arguments, and of the environment for what they leave out. Raises: BadSettings."""
    known = os.environ if environment is None else environment

    def chosen(given: str | None, *names: str) -> str | None:
        found = given if given is not None else next((known[name] for name in names if known.get(name, "").strip()), "")
        return found.strip() or None

    given_timeout_s = {} if timeout_s is None else {"timeout_s": timeout_s}
    return ClientSettings(
        url=(chosen(url, "INTERMUTE_URL") or DEFAULT_URL).rstrip("/"),
        api_key=chosen(api_key, "INTERMUTE_API_KEY"),
        project=chosen(project, "INTERMUTE_PROJECT"),
        agent_name=chosen(agent_name, "INTERMUTE_AGENT_NAME", "INTERMUTE_AGENT"),
        retries=retries or Retries(),
        **given_timeout_s,
    )


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or not _is_plain(url) or parts.username is not None or parts.query or parts.fragment:
        raise BadSettings(f"INTERMUTE_URL (url) has to be like {DEFAULT_URL}, not {url!r}")


def _is_plain(text: str) -> bool:
    return text.isascii() and all("!" <= character <= "~" for character in text)
