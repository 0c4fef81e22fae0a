"""The keys file: which key opens which project, and whether local callers need one. Source: contract.md 3.

Keys may stand in the file as they are or as `sha256:<hex>`. The file is read again when it changes, so that a key can be
rotated without a restart; a file that has become unreadable changes nothing but the log.
"""

import base64
import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from intermute.core.ids import ProjectName, normal_project_name

DEFAULT_FILE: Final = Path("intermute.keys.yaml")
DEV_PROJECT: Final = "dev"
HASHED: Final = "sha256:"
_KEY_BYTES: Final = 32
_FILE_CHARS_MAX: Final = 1024 * 1024  # characters; ten thousand keys need half of it. A guess, revisit.


class KeysRefused(Exception):
    """The keys file cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What the file says: digests of keys and their projects, and the rule for local callers."""

    allows_local: bool
    projects: tuple[tuple[bytes, ProjectName], ...]

    def project_of(self, key: str) -> ProjectName | None:
        """Return the project that this key opens; takes as long for a wrong key as for a right one."""
        digest = hashlib.sha256(key.encode()).digest()
        found: ProjectName | None = None
        for known, project in self.projects:
            if hmac.compare_digest(known, digest):
                found = project
        return found


def new_key() -> str:
    """Return a random key of 43 characters."""
    return base64.urlsafe_b64encode(secrets.token_bytes(_KEY_BYTES)).rstrip(b"=").decode()


def keys_path(environment: Mapping[str, str]) -> Path:
    """Return where the keys file is: INTERMUTE_KEYS_FILE, or the file of the working directory."""
    named = environment.get("INTERMUTE_KEYS_FILE", "").strip()
    return Path(named) if named else DEFAULT_FILE


def load_keys(path: Path) -> Keys:
    """Read the file. Raises: KeysRefused, with the original's words where it has them."""
    return parse_keys(_load_document(path))


def parse_keys(document: Mapping[str, Any]) -> Keys:  # Any: whatever YAML holds; checked here.
    """Return what a keys document says. Raises: KeysRefused."""
    policy = document.get("default_policy") or {}
    if not isinstance(policy, dict):
        raise KeysRefused("auth init: parse keys file: default_policy must be a mapping")
    allows_local = policy.get("allow_localhost_without_auth")
    if not isinstance(allows_local, bool | None):
        raise KeysRefused("auth init: parse keys file: allow_localhost_without_auth must be true or false")
    listed = document.get("projects") or {}
    if not isinstance(listed, dict):
        raise KeysRefused("auth init: parse keys file: projects must be a mapping of names")
    found: dict[bytes, ProjectName] = {}
    for name, entry in listed.items():
        project = normal_project_name(str(name).strip())
        if project is None:
            raise KeysRefused(f"auth init: parse keys file: {name!r} is not a project name")
        for key in _keys_of(name, entry):
            digest = _digest(key)
            if found.setdefault(digest, project) != project:
                shown = key if key.startswith(HASHED) else key[:4] + "…"
                raise KeysRefused(f"auth init: key reused across projects: {shown!r}")
    return Keys(allows_local is not False, tuple(found.items()))


def _keys_of(name: object, entry: Any) -> list[str]:  # Any: see parse_keys.
    keys = (entry or {}).get("keys") if isinstance(entry, dict | None) else None
    if entry and not isinstance(keys, list | None):
        raise KeysRefused(f"auth init: parse keys file: projects.{name}.keys must be a list")
    return [str(key).strip() for key in keys or () if str(key).strip()]


def _digest(key: str) -> bytes:
    if not key.startswith(HASHED):
        return hashlib.sha256(key.encode()).digest()
    try:
        digest = bytes.fromhex(key.removeprefix(HASHED))
    except ValueError:
        digest = b""
    if len(digest) != hashlib.sha256().digest_size:
        raise KeysRefused(
            f"auth init: parse keys file: {key[: len(HASHED) + 4] + '…'!r} is not sha256: and 64 hex digits"
        )
    return digest


def _load_document(path: Path) -> dict[str, Any]:  # Any: see parse_keys.
    try:
        # Without waiting: a pipe in its place would hold up the start, or the whole service when it is read again.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), encoding="utf-8") as file:
            # Of the open file, so that nothing can be put in its place between the look and the reading.
            _check_owner(path, os.fstat(file.fileno()))
            text = file.read(_FILE_CHARS_MAX + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise KeysRefused(f"auth init: read keys file: {error}") from error
    if len(text) > _FILE_CHARS_MAX:
        raise KeysRefused(f"auth init: read keys file: it is longer than {_FILE_CHARS_MAX} characters")
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        # PyYAML's text quotes the line, which may be a key, and this one is logged.
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "a character in it"
        raise KeysRefused(f"auth init: parse keys file: {where} is not valid YAML") from None
    except (
        ValueError,
        RecursionError,
    ):  # PyYAML's own texts for a date such as 2026-99-99, and for ten thousand brackets.
        raise KeysRefused("auth init: parse keys file: a value in it cannot be read: put keys in quotes") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise KeysRefused("auth init: parse keys file: the file must hold a mapping")
    return document


def _check_owner(path: Path, found: os.stat_result) -> None:
    """Refuse a file into which another user could write a key of its own (guarantees.md T27)."""
    if not stat.S_ISREG(found.st_mode):
        raise KeysRefused(f"auth init: read keys file: {path} is not a file")
    if found.st_uid not in (0, os.getuid()):
        raise KeysRefused(f"auth init: read keys file: {path} belongs to another user: make it yours, with mode 0600")
    if found.st_mode & stat.S_IWOTH:
        raise KeysRefused(f"auth init: read keys file: every user can write to {path}: run chmod 600 on it")


def is_private(path: Path) -> bool:
    """Tell whether nobody but its owner can read the file; what is not there is private (guarantees.md T7)."""
    try:
        return not path.stat().st_mode & 0o077
    except OSError:
        return True


def bootstrap(path: Path) -> str | None:
    """Create the file with a key for project `dev` if it does not exist; return the key then. Raises: KeysRefused."""
    if path.exists():
        return None
    return add_key(path, DEV_PROJECT)


def add_key(path: Path, project: str, *, is_hashed: bool = False) -> str:
    """Append a new key to a project, creating the file if need be, and return the key. Raises: KeysRefused."""
    name = normal_project_name(project.strip())
    if name is None:
        raise KeysRefused("project required" if not project.strip() else f"{project!r} is not a project name")
    document = _load_document(path) if path.exists() else {}
    parse_keys(document)
    key = new_key()
    stored = HASHED + hashlib.sha256(key.encode()).hexdigest() if is_hashed else key
    policy = document.setdefault("default_policy", None) or {}
    policy.setdefault("allow_localhost_without_auth", True)
    projects = document.setdefault("projects", None) or {}
    entry = projects.setdefault(str(name), None) or {}
    entry["keys"] = [*(entry.get("keys") or ()), stored]
    projects[str(name)] = entry
    document["default_policy"], document["projects"] = policy, projects
    _write_private(path, yaml.safe_dump(document, sort_keys=False))
    return key


def _write_private(path: Path, text: str) -> None:
    """Replace the file in one step, so that a reader never sees half of it; it is its owner's alone."""
    fresh = path.with_name(path.name + ".new")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        fresh.replace(path)
    except OSError as error:
        raise KeysRefused(f"auth init: write keys file: {error}") from error
