"""Refusals and faults of a project or of the whole service."""

from collections.abc import Mapping

from intermute.core import limits
from intermute.core.errors.domain_error import DomainError


class InvalidProject(DomainError):
    """Not a project name."""

    code = "invalid_project"

    @property
    def message(self) -> str:
        return "Use a project name of 1 to 128 printable characters without a space at either end."


class Overloaded(DomainError):
    """The project's mailbox is full, or its turn did not come in time; the command was not begun."""

    code = "overloaded"
    retry_after_s = float(limits.RETRY_AFTER_S)

    @property
    def message(self) -> str:
        return "This project has more work waiting than it takes: nothing was done; try again after the time in Retry-After."


class TooManyProjects(DomainError):
    """As many projects are open as may be, and each of them is in use."""

    code = "too_many_projects"
    retry_after_s = 30.0

    @property
    def message(self) -> str:
        return f"{limits.PROJECTS_LIVE_MAX} projects are in use, which is the limit: nothing was done; try again later."


class TooManySubscribers(DomainError):
    """The project has as many event readers as it may."""

    code = "too_many_subscribers"
    retry_after_s = 30.0

    def __init__(self, *, is_absent: bool = False) -> None:
        super().__init__()
        self.is_absent = is_absent

    @property
    def message(self) -> str:
        if self.is_absent:
            return f"{limits.ABSENT_READERS_MAX} readers wait for projects that do not exist, which is the limit: check the project's name, or register an agent in it first."
        return f"{limits.SUBSCRIBERS_PER_PROJECT_MAX} readers follow this project, which is the limit: close some, or poll GET /api/events."


class StorageUnavailable(DomainError):
    """The disk failed; the command was certainly not applied."""

    code = "storage_unavailable"

    def __init__(self, retry_after_s: float = 2.0) -> None:
        super().__init__()
        self.retry_after_s = retry_after_s

    @property
    def message(self) -> str:
        return "The project's storage failed and nothing was stored: send the same request again after the time in Retry-After."


class StorageFull(DomainError):
    """The disk is full; the command was certainly not applied."""

    code = "storage_full"
    retry_after_s = 5.0

    @property
    def message(self) -> str:
        return "The server's disk is full and nothing was stored: tell the operator, then send the same request again."


class OutcomeUnknown(DomainError):
    """The command may or may not have been applied."""

    code = "outcome_unknown"
    retry_after_s = 2.0

    @property
    def message(self) -> str:
        return "The server cannot tell whether this was stored: look before you repeat it (list, inbox), or repeat it with the same id or Idempotency-Key."


class TooSlow(DomainError):
    """The command was begun, and its answer did not come in time; it may still be applied."""

    code = "deadline_exceeded"
    retry_after_s = 2.0

    @property
    def message(self) -> str:
        return "The project did not answer in time, so the outcome is unknown: look before you repeat it, or repeat it with the same id or Idempotency-Key."


class ProjectParked(DomainError):
    """The project failed too often in a row and rests."""

    code = "project_parked"
    retry_after_s = 10.0

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason

    @property
    def message(self) -> str:
        return "This project is out of service after repeated failures and comes back by itself; tell the operator to look at /health."


class ShuttingDown(DomainError):
    """The server is on its way out."""

    code = "shutting_down"
    retry_after_s = 2.0

    @property
    def message(self) -> str:
        return "The server is shutting down: connect again in a moment."


class CursorExpired(DomainError):
    """Events after this cursor have been trimmed from the log."""

    code = "cursor_expired"

    def __init__(self, oldest_cursor: int) -> None:
        super().__init__()
        self.oldest_cursor = oldest_cursor

    @property
    def message(self) -> str:
        return f"Events after this cursor are no longer kept: read anew what you follow (inbox, reservations, lists), then go on with since_cursor={self.oldest_cursor} or a later one."

    @property
    def details(self) -> Mapping[str, object]:
        return {"oldest_cursor": self.oldest_cursor}


class InternalError(DomainError):
    """A bug of ours; the command was not applied and will not be run again."""

    code = "internal_error"

    @property
    def message(self) -> str:
        return "This request met a defect of the server and was not applied: do not repeat it unchanged; tell the operator, who finds it in the log."
