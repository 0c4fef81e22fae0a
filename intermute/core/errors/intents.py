"""Refusals about operation intents."""

from collections.abc import Mapping

from intermute.core import limits
from intermute.core.errors.domain_error import DomainError


class UnknownIntent(DomainError):
    """No intent has this id in the project."""

    code = "unknown_intent"

    def __init__(self, intent_id: str) -> None:
        super().__init__()
        self.intent_id = intent_id

    @property
    def message(self) -> str:
        return f"No intent {self.intent_id!r} here; GET /api/intents?project=… lists the active ones."


class IntentOver(DomainError):
    """The intent is done or abandoned, or cannot go to the wished state from where it is."""

    code = "intent_over"

    def __init__(self, intent_id: str, state: str) -> None:
        super().__init__()
        self.intent_id, self.state = intent_id, state

    @property
    def message(self) -> str:
        return f"The intent {self.intent_id!r} is {self.state} and cannot become that any more: declare a new one for what is left to do."

    @property
    def details(self) -> Mapping[str, object]:
        return {"state": self.state}


class IntentLimit(DomainError):
    """The agent has as many active intents as one may."""

    code = "intent_limit"

    def __init__(self, agent: str, active: int) -> None:
        super().__init__()
        self.agent, self.active = agent, active

    @property
    def message(self) -> str:
        return f"{self.agent!r} has {self.active} active intents and the limit is {limits.INTENTS_PER_AGENT_MAX}: set those that are over to done or abandoned first."

    @property
    def details(self) -> Mapping[str, object]:
        return {"limit": limits.INTENTS_PER_AGENT_MAX, "active": self.active}
