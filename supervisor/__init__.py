"""Supervision for trio in the manner of Erlang/OTP: children that crash are restarted, parked, or escalated.

Knows nothing of the application; stdlib and trio only. Read `README.md` first.
"""

from supervisor.child import Child, Work
from supervisor.child_spec import ChildSpec, OnExhausted, Restart, RunMailbox
from supervisor.envelope import (
    AskTimeout,
    Envelope,
    MailboxClosed,
    MailboxError,
    MailboxFull,
    Phase,
    RequestCrashed,
    RequestLost,
)
from supervisor.error_text import error_text, unwrap
from supervisor.errors import (
    ChildEscalated,
    ChildExists,
    ChildNotStarted,
    ChildStillRunning,
    ChildStuck,
    StartTimedOut,
    SupervisorClosed,
    SupervisorError,
    UnknownChild,
)
from supervisor.health import ChildHealth, ChildState, StateChange
from supervisor.loop_guard import LoopGuard
from supervisor.mailbox import Mailbox
from supervisor.restart_budget import Backoff, RestartBudget
from supervisor.supervisor import Supervisor, open_supervisor
from supervisor.watchdog import Finding, Verdict, watch

__all__ = [
    "AskTimeout",
    "Backoff",
    "Child",
    "ChildEscalated",
    "ChildExists",
    "ChildHealth",
    "ChildNotStarted",
    "ChildSpec",
    "ChildState",
    "ChildStillRunning",
    "ChildStuck",
    "Envelope",
    "Finding",
    "LoopGuard",
    "Mailbox",
    "MailboxClosed",
    "MailboxError",
    "MailboxFull",
    "OnExhausted",
    "Phase",
    "RequestCrashed",
    "RequestLost",
    "Restart",
    "RestartBudget",
    "RunMailbox",
    "StartTimedOut",
    "StateChange",
    "Supervisor",
    "SupervisorClosed",
    "SupervisorError",
    "UnknownChild",
    "Verdict",
    "Work",
    "error_text",
    "open_supervisor",
    "unwrap",
    "watch",
]
