"""Refusals about who asks."""

from collections.abc import Mapping

from intermute.core.errors.domain_error import DomainError


class Unauthorized(DomainError):
    """No key, an unknown key, or not local."""

    code = "unauthorized"

    @property
    def message(self) -> str:
        return (
            "Send 'Authorization: Bearer <key>' with a key from the server's keys file; "
            "`intermute init --project NAME` on the server makes one."
        )


class ForeignProject(DomainError):
    """The key belongs to another project than the request names."""

    code = "foreign_project"

    @property
    def message(self) -> str:
        return "Leave the project out, or name the project that your key belongs to."


class ProjectRequired(DomainError):
    """The caller has a key, and registering or sending names no project (contract.md 0.7, class P1)."""

    code = "project_required"

    @property
    def message(self) -> str:
        return "Name your key's project in the field `project`."


class BrowserRefused(DomainError):
    """An Origin or Sec-Fetch-Site header says that a web page sent this."""

    code = "browser_refused"

    def __init__(self, header: str, value: str) -> None:
        super().__init__()
        self.header, self.value = header, value

    @property
    def message(self) -> str:
        return (
            f"Call from a program, not from a web page: the header {self.header} ({self.value!r}) is not allowed here."
        )


class MisdirectedHost(DomainError):
    """The Host header names a machine that this server is not."""

    code = "misdirected_host"

    def __init__(self, host: str) -> None:
        super().__init__()
        self.host = host

    @property
    def message(self) -> str:
        return (
            f"Use the address the server is bound to, such as 127.0.0.1:PORT or localhost:PORT, not {self.host!r}; "
            "an operator allows further names with --allow-host."
        )


class AgentHeaderMissing(DomainError):
    """An agent token came without the agent it belongs to."""

    code = "agent_header_missing"
    legacy_error = "agent token is bound but X-Agent-ID header is missing"

    @property
    def message(self) -> str:
        return "Send your agent id in X-Agent-ID beside X-Agent-Token."


class AgentIdentityMismatch(DomainError):
    """The token is not the token of the agent that the request claims to be."""

    code = "agent_identity_mismatch"
    legacy_error = "agent identity mismatch"

    @property
    def message(self) -> str:
        return "Send the token that registration gave to the agent in X-Agent-ID; register again with your session_id to get a new one."


class NotYours(DomainError):
    """The caller is somebody else than the agent whose thing this is."""

    code = "not_yours"

    def __init__(self, thing: str, owner: str, asker: str | None) -> None:
        super().__init__()
        self.thing, self.owner, self.asker = thing, owner, asker

    @property
    def message(self) -> str:
        who = (
            f"you are {self.asker}"
            if self.asker
            else "you did not say who you are (X-Agent-ID, or agent_id in the query)"
        )
        return f"Only {self.owner} may do this with its {self.thing}; {who}. Ask it in a message."

    @property
    def details(self) -> Mapping[str, object]:
        return {"owner": self.owner}
