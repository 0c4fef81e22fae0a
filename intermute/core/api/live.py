"""Windows and pokes on the wire. Source: contract.md 1.3, 1.8 and 1.10."""

from typing import Annotated

from msgspec import Meta

from intermute.core.api.fields import Address, Identifier, Input, Line, ProjectText, View


class RegisterWindow(Input, kw_only=True, frozen=True):
    """Say which terminal you work in, so that messages can be put into it; the same `window_uuid` again changes the window."""

    project: ProjectText | None = None
    window_uuid: Identifier | None = None
    agent_id: Line | None = None
    display_name: Line | None = None
    tmux_target: (
        Annotated[str, Meta(description="A session of tmux, and perhaps window and pane: main:0.1.")] | None
    ) = None
    registration_token: Line | None = None


class WindowView(View, kw_only=True, frozen=True):
    """One window. Messages reach it only where a caller on the server's own machine named the target."""

    id: str
    project: str
    window_uuid: str
    agent_id: str
    display_name: str
    tmux_target: str | None = None
    created_at: str
    last_active_at: str
    expires_at: str | None = None


class ListWindows(Input, kw_only=True, frozen=True):
    """List a project's windows, the most recently active first."""

    project: ProjectText | None = None


class WindowList(View, kw_only=True, frozen=True):
    """All windows that have not expired."""

    windows: list[WindowView]


class ExpireWindow(Input, kw_only=True, frozen=True):
    """Say that a window is closed."""

    window_uuid: Identifier
    project: ProjectText | None = None


class Expired(View, kw_only=True, frozen=True):
    """The window is closed; it may have been before."""

    status: str


class ListPokes(Input, kw_only=True, frozen=True):
    """List what was to be put into an agent's terminal and could not be, the oldest first."""

    agent: Address
    project: ProjectText | None = None


class PokeView(View, kw_only=True, frozen=True):
    """One message, as the terminal would have got it."""

    message_id: str
    sender: str
    body: str
    created_at: str


class PokeList(View, kw_only=True, frozen=True):
    """All that wait for one agent."""

    pokes: list[PokeView]


class AckPoke(Input, kw_only=True, frozen=True):
    """Say that a poke has been shown: it is not listed again."""

    message_id: Identifier
    agent: Address | None = None
    project: ProjectText | None = None


class PokeAcked(View, kw_only=True, frozen=True):
    """It is not listed again; it may not have been before."""

    status: str
