"""Refusals about windows and live delivery."""

from collections.abc import Mapping

from intermute.core import limits
from intermute.core.errors.domain_error import DomainError


class LiveDeliveryFailed(DomainError):
    """Live delivery was asked for, and no terminal, or not each of them, has taken the message."""

    code = "delivery_failed"

    def __init__(self, delivery: str | dict[str, str] | None = None) -> None:
        super().__init__()
        self.delivery = delivery

    @property
    def message(self) -> str:
        return (
            "The message was not put into every terminal: send it with transport both, which puts it into the inbox as well, "
            "or async."
        )

    @property
    def details(self) -> Mapping[str, object]:
        return {"delivery": self.delivery}


class RecipientBusy(DomainError):
    """A recipient's terminal cannot take a message now; nothing was sent."""

    code = "recipient_busy"

    def __init__(self, agent: str, focus_state: str) -> None:
        super().__init__()
        self.agent, self.focus_state = agent, focus_state

    @property
    def message(self) -> str:
        return (
            f"{self.agent!r} is not waiting at the prompt of a known window: send it with transport both, which puts it into "
            "the inbox and shows it later, or try again."
        )

    @property
    def details(self) -> Mapping[str, object]:
        return {"agent": self.agent, "focus_state": self.focus_state}


class LiveRateLimit(DomainError):
    """The sender has tried this recipient too often."""

    code = "rate_limit"

    def __init__(self, agent: str, wait_s: float) -> None:
        super().__init__()
        self.agent, self.retry_after_s = agent, wait_s

    @property
    def message(self) -> str:
        return (
            f"A terminal takes {limits.LIVE_TRIES_MAX} messages from one sender in {limits.LIVE_TRIES_WITHIN_S} seconds, and "
            f"{self.agent!r} has had them: wait, or send it with transport async."
        )

    @property
    def details(self) -> Mapping[str, object]:
        return {"agent": self.agent, "retry_after_seconds": max(1, round(self.retry_after_s or 1))}


class WindowFieldsRequired(DomainError):
    """A window without its name or its agent."""

    code = "window_fields_required"
    legacy_error = "project, window_uuid, and agent_id are required"

    @property
    def message(self) -> str:
        return "Send window_uuid and agent_id; project too, where it is not the key's or `default`."


class InvalidTmuxTarget(DomainError):
    """Not the name of a terminal."""

    code = "invalid_tmux_target"
    legacy_error = "invalid tmux_target"

    @property
    def message(self) -> str:
        return (
            "Name a session, and perhaps window and pane, as in main:0.1, with letters, digits, `_`, `-` and `.` only."
        )


class AgentTokenMismatch(DomainError):
    """A window is registered by its own agent alone, which proves itself by its token."""

    code = "agent_token_mismatch"

    @property
    def message(self) -> str:
        return "Send the token of agent_id, as its last registration answered it, in registration_token."


class TooManyWindows(DomainError):
    """The project has as many windows as it may."""

    code = "too_many_windows"

    @property
    def message(self) -> str:
        return (
            f"This project has {limits.WINDOWS_PER_PROJECT_MAX} windows, which is the limit: close those that are gone "
            "(DELETE /api/windows/{window_uuid})."
        )
