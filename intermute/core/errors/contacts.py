"""Refusals about contact policies and contacts."""

from collections.abc import Mapping, Sequence

import msgspec

from intermute.core import limits
from intermute.core.api.contacts import Denial
from intermute.core.errors.domain_error import DomainError

_CHOICES = "must be open, auto, contacts_only, or block_all"


class PolicyDenied(DomainError):
    """None of the recipients takes messages from this sender."""

    code = "policy_denied"

    def __init__(self, denials: Sequence[Denial], *, is_update: bool = False) -> None:
        super().__init__()
        self.denials, self.is_update = denials, is_update

    @property
    def message(self) -> str:
        if self.is_update:
            return (
                "Some who have this message no longer take messages from you, so it stays as it is: "
                "send a new one, under another id."
            )
        return (
            "Nobody of those you wrote to takes messages from you: ask with POST /api/agents/{you}/contacts/{other}/request, "
            "or send it with on_denied hold, so that they can approve it."
        )

    @property
    def details(self) -> Mapping[str, object]:
        return {
            "denied": [each.agent for each in self.denials],
            "denials": [msgspec.to_builtins(each) for each in self.denials],
        }


class PolicyRequired(DomainError):
    """A change of policy without a policy."""

    code = "policy_required"
    legacy_error = "policy or live_contact_policy required"

    @property
    def message(self) -> str:
        return 'Send {"policy": "contacts_only"}, or live_contact_policy, or both.'


class InvalidPolicy(DomainError):
    """Not one of the four policies for messages."""

    code = "invalid_policy"
    legacy_error = f"invalid policy: {_CHOICES}"

    @property
    def message(self) -> str:
        return "Use one of open, auto, contacts_only, block_all for policy."


class InvalidLivePolicy(DomainError):
    """Not one of the four policies for live messages."""

    code = "invalid_live_contact_policy"
    legacy_error = f"invalid live_contact_policy: {_CHOICES}"

    @property
    def message(self) -> str:
        return "Use one of open, auto, contacts_only, block_all for live_contact_policy."


class UnknownContact(DomainError):
    """The agent's list has no such entry."""

    code = "unknown_contact"

    def __init__(self, agent: str, other: str) -> None:
        super().__init__()
        self.agent, self.other = agent, other

    @property
    def message(self) -> str:
        return (
            f"The list of {self.agent!r} has no such entry for {self.other!r}; GET /api/agents/{{agent}}/contacts lists "
            "what it has, PUT adds a contact, POST …/request asks to be one."
        )


class ContactDeclined(DomainError):
    """The other agent declined an earlier request."""

    code = "contact_declined"

    def __init__(self, other: str) -> None:
        super().__init__()
        self.other = other

    @property
    def message(self) -> str:
        return f"{self.other!r} declined your request before: it has to take you as a contact by itself, with PUT."


class ContactLimit(DomainError):
    """The list, or the project, has no room for one more entry."""

    code = "contact_limit"

    def __init__(self, owner: str) -> None:
        super().__init__()
        self.owner = owner

    @property
    def message(self) -> str:
        return (
            f"The list of {self.owner!r} is full ({limits.CONTACTS_PER_AGENT_MAX} contacts, {limits.CONTACT_REQUESTS_MAX} "
            f"requests), or all of the project's are ({limits.CONTACTS_PER_PROJECT_MAX}): remove entries with DELETE."
        )


class NotHeld(DomainError):
    """No such message waits for the agent's approval."""

    code = "not_held"

    def __init__(self, message_id: str, agent: str) -> None:
        super().__init__()
        self.message_id, self.agent = message_id, agent

    @property
    def message(self) -> str:
        return (
            f"No message {self.message_id!r} waits for the approval of {self.agent!r}: "
            "GET /api/inbox/{agent}/held lists those that do."
        )
