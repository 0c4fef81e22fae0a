"""The date of an answer, made once a second."""

import time
from email.utils import formatdate

_lines: dict[int, str] = {}


def date_line() -> str:
    """Return the header `date` of now, without the end of its line."""
    now_s = int(time.time())
    found = _lines.get(now_s)
    if found is None:
        _lines.clear()
        found = _lines[now_s] = f"date: {formatdate(now_s, usegmt=True)}"
    return found
