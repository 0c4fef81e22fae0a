"""What goes through a project's mailbox."""

from collections.abc import Sequence
from typing import Any

import msgspec

from intermute.core.agents import Caller
from intermute.core.fences import HeldFence
from intermute.core.once import Once
from supervisor import Mailbox


class Request(msgspec.Struct, frozen=True):
    """A command and who asks; `once`, where it came with an Idempotency-Key; `fences`, those that have to hold."""

    command: object
    caller: Caller
    once: Once | None = None
    fences: Sequence[HeldFence] = ()


ProjectMailbox = Mailbox[Request, Any]  # Any: each command has a reply type of its own; the operation table says which.
