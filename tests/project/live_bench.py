"""A project in which somebody can be reached live, and what the courier does, by hand."""

from typing import Any

from handler_bench import LOCAL, Bench

from intermute.core.agents import Caller
from intermute.core.api.agents import Heartbeat, Registered
from intermute.core.api.contacts import SetPolicy
from intermute.core.api.live import ListPokes, RegisterWindow
from intermute.core.api.messages import SendMessage, Sent
from intermute.core.live import PokeResult, Transport
from intermute.project.handlers.pokes import NotePokes, Planned, PlannedPokes


class Live(Bench):
    """A project with anna, who sends, and ben, who takes live messages in the window w1."""

    def __init__(self) -> None:
        super().__init__()
        self.register("anna")
        self.ben = self.register("ben")
        self.ben_id = self.state.agents.canonical("ben")
        self.run(SetPolicy(agent="ben", live_contact_policy="open"))
        self.window(self.ben, "w1", "main:0.1")
        self.at_prompt("ben")

    def window(
        self, agent: Registered, name: str, target: str | None = None, caller: Caller = LOCAL, **more: Any
    ) -> Any:  # Any: fields of the command, and its view.
        """Register a window."""
        token = more.pop("registration_token", agent.token)
        command = RegisterWindow(
            window_uuid=name, agent_id=agent.agent_id, tmux_target=target, registration_token=token, **more
        )
        return self.run(command, caller)

    def at_prompt(self, agent: str, focus: str = "at-prompt") -> None:
        """Say what the agent's terminal is doing."""
        self.ask(Heartbeat(agent=agent, focus_state=focus))

    def live(self, *to: str, transport: str = "live", **more: Any) -> Sent:  # Any: fields of the command.
        """Send something live from anna."""
        sent = self.run(SendMessage(sender="anna", to=list(to), transport=transport, body="hi", **more))
        assert isinstance(sent, Sent)
        return sent

    def planned(self, message_id: str) -> list[Planned]:
        """Return what is to be put into terminals."""
        found: list[Planned] = self.ask(PlannedPokes(message_id=message_id))
        return found

    def note(self, message_id: str, result: PokeResult, transport: Transport = Transport.LIVE) -> None:
        """Note what became of it for ben."""
        self.run(NotePokes(message_id=message_id, transport=transport, results=((self.ben_id, result, "because"),)))

    def pokes(self, agent: str = "ben") -> list[str]:
        """Return the messages that wait to be shown."""
        return [each.message_id for each in self.ask(ListPokes(agent=agent)).pokes]

    def told(self) -> list[tuple[str, str]]:
        """Return result and reason of all events about terminals."""
        return [(e.data["result"], e.data["reason"]) for e in self.events() if e.type == "peer.window_poke"]
