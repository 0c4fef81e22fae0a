"""Calls from the command line: standard library only, a short timeout, and a remedy for whatever goes wrong."""

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import click
import msgspec

from intermute.core.api.checks import Checked

CALL_TIMEOUT_S: Final = 5.0  # seconds without a byte; a check takes a millisecond, and a commit hook must not hang.
_ANSWER_BYTES_MAX: Final = 8 * 1024 * 1024  # bytes; a hundred conflicts with the longest of patterns are below 2 MiB.
_PATH: Final = "/api/reservations/check"
_SAID_CHARS_MAX: Final = 500  # characters of a refusal that are repeated.
_PORTS: Final = {"http": http.client.HTTP_PORT, "https": http.client.HTTPS_PORT}
_URL_REMEDY: Final = "start `intermute serve`, or say with --url (or INTERMUTE_URL) where it runs"
_WRONG_ASKED: Final = frozenset({400, 413})


class NoVerdict(click.ClickException):
    """The service cannot be reached, lets nobody in, or is out of order: exit code 3. The text names the remedy."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class Service:
    """Where the service is, as `--url` has it, and the key to it, if one is known."""

    url: str
    key: str | None
    timeout_s: float = CALL_TIMEOUT_S

    def check(self, fields: Mapping[str, object]) -> Checked:
        """Return the answer to one check. Raises: NoVerdict; click.UsageError, where what is asked cannot be meant."""
        status, content = self.exchange("POST", _PATH, msgspec.json.encode(fields))
        if status == http.client.OK:
            try:
                return msgspec.json.decode(content, type=Checked)
            except (msgspec.DecodeError, UnicodeDecodeError):
                raise NoVerdict(f"{self.url} is not an Intermute that checks many paths: {_URL_REMEDY}") from None
        raise self._refusal(status, content)

    def post(self, path: str, fields: Mapping[str, object]) -> bytes:
        """Return the body of a good answer. Raises: NoVerdict; click.UsageError, where what is asked cannot be meant."""
        status, content = self.exchange("POST", path, msgspec.json.encode(fields))
        if status == http.client.OK:
            return content
        raise self._refusal(status, content)

    def _refusal(self, status: int, content: bytes) -> click.ClickException:
        said = _message_of(content)
        if status in _WRONG_ASKED and said:
            return click.UsageError(said)
        if status == http.client.UNAUTHORIZED:
            known = (
                "does not know the key in INTERMUTE_API_KEY"
                if self.key
                else "wants a key, and INTERMUTE_API_KEY has none"
            )
            return NoVerdict(
                f"{self.url} {known}: set it to a key of the project; `intermute init --project NAME` makes one"
            )
        return NoVerdict(f"{self.url} answered {status}: {said or f'that is not Intermute; {_URL_REMEDY}'}")

    def exchange(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        """Return status and body of the answer to one call. Raises: NoVerdict, where there is none."""
        parts = urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port or _PORTS[parts.scheme], timeout=self.timeout_s)
        headers = {"Content-Type": "application/json", "Accept": "application/json", "Connection": "close"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        try:
            connection.request(method, parts.path.rstrip("/") + path, body, headers)
            answer = connection.getresponse()
            content = answer.read(_ANSWER_BYTES_MAX)
        except TimeoutError:
            raise NoVerdict(f"no answer from {self.url} within {self.timeout_s:g} s: {_URL_REMEDY}") from None
        except (OSError, UnicodeError) as error:  # UnicodeError: what is no host name.
            raise NoVerdict(f"nobody answers at {self.url} ({error}): {_URL_REMEDY}") from None
        except http.client.HTTPException as error:
            raise NoVerdict(f"{self.url} does not speak HTTP ({type(error).__name__}): {_URL_REMEDY}") from None
        finally:
            connection.close()
        return answer.status, content


def service_at(url: str, key: str | None) -> Service:
    """Return the service at an address such as http://127.0.0.1:7338. Raises: click.UsageError."""
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or not _is_plain(url) or parts.username is not None or parts.query or parts.fragment:
        raise click.UsageError("the URL (--url, or INTERMUTE_URL) has to be like http://127.0.0.1:7338")
    plain_key = (key or "").strip()
    if not _is_plain(plain_key):
        raise click.UsageError("INTERMUTE_API_KEY holds something that cannot be a key: copy it again")
    return Service(url.rstrip("/"), plain_key or None)


def _is_plain(text: str) -> bool:
    return text.isascii() and all("!" <= character <= "~" for character in text)


def _message_of(content: bytes) -> str | None:
    """Return the sentence of a refusal, so that it is one line and cannot steer a terminal."""
    try:
        said = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    message = said.get("message") if isinstance(said, dict) else None
    if not isinstance(message, str):
        return None
    return "".join(each if each.isprintable() else "?" for each in message[:_SAID_CHARS_MAX])
