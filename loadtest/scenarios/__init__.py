"""The scenarios, one module each, in the order in which they run. A new one is a module with a class and a line here.

How to write one (`unique.py` and `contended.py` are short examples):

- A class with the form of `engine.site.Scenario`. `prepare` makes its workers and adds its checkers with
  `site.watch.add(...)`; `load` runs them, once a round; `verify` asks for what has to be true at the end.
- A worker has the form of `engine.pace.Worker` and does not wait: `ask` returns an operation's name and a request's bytes,
  `take` looks at the answer and feeds the checkers, `lose` hears that a request has no answer (with `--faults` only).
- `slice_.rate_then_latency(workers)` is what most need: half of the slice in a closed loop, which is the round's rate,
  half in an open one at 60 % of that. `slice_.closed_loop` and `open_loop` are the parts. What comes otherwise
  (events on a socket: `engine.sockets`, `follower.py`) is noted with `slice_.record`; requests of a scenario's own go over
  `await site.connect()`, which the service closes when it is idle for 6 s.
- `site.measure(name, value, unit)` notes a figure once a round; `slice_.measure_rate` those of a rate, with its ratios to
  the references of the round (`slice_.references`). A target (`Wanted`) is held against the median of a measure, by its name.
- Everything drawn comes from `site.rng(names...)`; sizes come from `site.scale(full=, quick=)`. `site.service_cpu_s()` and
  `service_rss_mb()` are the service's, 0 where it is not ours.
- `site.register(project, names)` makes agents, `site.rows(target, key)` reads a paged list whole, `together(...)` runs jobs
  at the same time, `beside(job)` one while a block runs.
- A wrong answer raises `LoadFailed`, a broken promise `Violation`; with either the run fails. Under `--faults`
  (`site.has_faults`) any request may have been applied without an answer, and an answer may say so itself (`answer.is_unknown`).
"""

from typing import Final

from loadtest.engine.site import Scenario
from loadtest.scenarios.claim import ClaimTasks
from loadtest.scenarios.contended import Contended
from loadtest.scenarios.entities import Entities
from loadtest.scenarios.heartbeat import Heartbeat
from loadtest.scenarios.held import Held
from loadtest.scenarios.hierarchy import Hierarchy
from loadtest.scenarios.inbox import Inbox
from loadtest.scenarios.many_projects import ManyProjects
from loadtest.scenarios.messages import Messages
from loadtest.scenarios.mixed import Mixed
from loadtest.scenarios.overload import Overload
from loadtest.scenarios.push import Push
from loadtest.scenarios.unique import Unique
from loadtest.scenarios.wait import Wait

SCENARIOS: Final[dict[str, type[Scenario]]] = {
    each.name: each
    for each in (
        Unique,
        Held,
        Contended,
        Hierarchy,
        Wait,
        Messages,
        Inbox,
        Push,
        Entities,
        ClaimTasks,
        ManyProjects,
        Heartbeat,
        Mixed,
        Overload,
    )
}
"""By the name that they have on the command line."""
