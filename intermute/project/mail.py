"""What goes through a project's mailbox."""

from dataclasses import dataclass
from typing import Any

from intermute.core.agents import Caller
from supervisor import Mailbox


@dataclass(frozen=True, slots=True)
class Request:
    """A command and who asks."""

    command: object
    caller: Caller


ProjectMailbox = Mailbox[Request, Any]  # Any: each command has a reply type of its own; the operation table says which.
