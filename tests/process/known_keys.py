"""The keys that the shared server knows, and the headers of a caller who has one."""

import hashlib

from server_process import REMOTE

ACME_KEY = "acme-key-0123456789"
UMBRA_KEY = "umbra-key-0123456789"
HASHED_KEY = "hashed-key-0123456789"
KEYS_FILE = f"""\
default_policy:
  allow_localhost_without_auth: true
projects:
  acme:
    keys: [{ACME_KEY}]
  umbra:
    keys: [{UMBRA_KEY}]
  hashed:
    keys: ["sha256:{hashlib.sha256(HASHED_KEY.encode()).hexdigest()}"]
"""


def with_key(key: str) -> dict[str, str]:
    """Return the headers of a remote caller who holds this key."""
    return {**REMOTE, "Authorization": f"Bearer {key}"}
