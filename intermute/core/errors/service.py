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
    """The project's mailbox is full, or the agent's share of it, or its turn did not come in time; the command was not begun."""

    code = "overloaded"

    def __init__(self, delay_s: float = 0.0, *, is_share: bool = False) -> None:
        super().__init__()
        self.is_share = is_share
        self.retry_after_s = min(max(float(limits.RETRY_AFTER_S), delay_s), limits.ASK_TIMEOUT_S)

    @property
    def message(self) -> str:
        if self.is_share:
            return "You have more requests waiting in this project than is your share: nothing was done; try again after the time in Retry-After, and send fewer at once. Others are served meanwhile."
        return "This project has more work waiting than it takes: nothing was done; try again after the time in Retry-After."


class ServerOverloaded(DomainError):
    """More commands are waiting in all projects than the service takes; the command was not begun."""

    code = "server_overloaded"
    retry_after_s = 2.0

    @property
    def message(self) -> str:
        return "The server has more work waiting than it takes: nothing was done; try again after the time in Retry-After. Reads, heartbeats and releases go on."


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

    def __init__(self, *, is_absent: bool = False, is_one_reader: bool = False) -> None:
        super().__init__()
        self.is_absent, self.is_one_reader = is_absent, is_one_reader

    @property
    def message(self) -> str:
        if self.is_absent:
            return f"{limits.ABSENT_READERS_MAX} readers wait for projects that do not exist, which is the limit: check the project's name, or register an agent in it first."
        if self.is_one_reader:
            return f"You follow this project with {limits.SUBSCRIBERS_PER_READER_MAX} sockets and waiting calls, which is the limit: close some."
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


class StorageStalled(DomainError):
    """The disk does not come back from a flush or read; the command was not begun."""

    code = "storage_stalled"
    retry_after_s = 5.0

    @property
    def message(self) -> str:
        return "The project's disk does not answer and nothing was done: tell the operator, then send the same request again; reads and heartbeats go on."


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


class ProjectQuarantined(DomainError):
    """The project's file is damaged, and was set aside."""

    code = "project_quarantined"
    retry_after_s = 60.0

    @property
    def message(self) -> str:
        return (
            "This project's storage is damaged and was set aside, and nothing of this request was stored: tell the operator to "
            "restore a backup (`intermute restore`, docs/operations.md), until which the project answers nothing else."
        )


class ShuttingDown(DomainError):
    """The server is on its way out."""

    code = "shutting_down"
    retry_after_s = 2.0

    @property
    def message(self) -> str:
        return "The server is shutting down: connect again in a moment."


class Poisoned(DomainError):
    """The request brought its project's actor down too often, and is not tried again for some time."""

    code = "poisoned"

    @property
    def message(self) -> str:
        return f"This request met a defect of the server {limits.POISON_CRASHES_MAX} times and is not tried again for {limits.POISON_KEPT_S // 60} minutes: do not repeat it, ask for something else, and tell the operator, who finds the defect in the log. Other requests go on."

    @property
    def details(self) -> Mapping[str, object]:
        return {"crashes": limits.POISON_CRASHES_MAX, "forgotten_after_s": limits.POISON_KEPT_S}


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
