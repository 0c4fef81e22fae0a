"""Refusals about agents."""

from intermute.core import limits
from intermute.core.errors.domain_error import DomainError


class UnknownAgent(DomainError):
    """No agent has this id or name in the project."""

    code = "unknown_agent"

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address

    @property
    def message(self) -> str:
        return (
            f"No agent {self.address!r} is registered here; GET /api/agents lists them, POST /api/agents registers one."
        )


class InvalidSessionId(DomainError):
    """The session id is not a UUID."""

    code = "invalid_session_id"

    def __init__(self, session_id: str) -> None:
        super().__init__()
        self.session_id = session_id
        quoted = session_id.replace("\\", "\\\\").replace('"', '\\"')
        self.legacy_text = f'invalid session_id: must be a valid UUID: "{quoted}"'

    @property
    def message(self) -> str:
        return "Send session_id as a UUID, or leave it out and keep the one in the answer."


class ActiveSessionConflict(DomainError):
    """The session belongs to a live agent of another name."""

    code = "active_session_conflict"
    legacy_error = "session_id is in use by an active agent"

    def __init__(self, holder: str, wait_s: float) -> None:
        super().__init__()
        self.holder, self.retry_after_s = holder, wait_s

    @property
    def message(self) -> str:
        return (
            f"Agent {self.holder!r} is using this session: register under that name or with its token to renew it, "
            "leave session_id out to be a new agent, or wait until it has been silent for 5 minutes."
        )


class TooManyAgents(DomainError):
    """The project is full of agents."""

    code = "too_many_agents"

    @property
    def message(self) -> str:
        return (
            f"This project has {limits.AGENTS_PER_PROJECT_MAX} agents, which is the limit: "
            "deregister those that are gone (DELETE /api/agents/{id})."
        )


class InvalidFocusState(DomainError):
    """Not one of the four focus states."""

    code = "invalid_focus_state"
    legacy_error = "invalid focus_state"

    @property
    def message(self) -> str:
        return "Use one of at-prompt, tool-use, thinking, unknown, or leave focus_state out."


class MetadataRequired(DomainError):
    """A metadata merge without anything to merge."""

    code = "metadata_required"
    legacy_error = "metadata map required"

    @property
    def message(self) -> str:
        return 'Send {"metadata": {"key": "value"}} with at least one key.'
