"""Children, a log and short cuts that the supervisor's tests share."""

from collections.abc import Awaitable, Callable

import trio

from supervisor import Backoff, Child, ChildHealth, ChildSpec, ChildState, Restart, Supervisor

STEADY = Backoff(first_s=1.0, max_s=4.0, jitter=0.0)
Main = Callable[[Child], Awaitable[object]]


class Log:
    """Collects the state changes of all children."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, ChildState, ChildState]] = []
        self.errors: list[BaseException] = []

    def __call__(self, name: str, old: ChildState, new: ChildState, error: BaseException | None) -> None:
        """Note one change."""
        self.changes.append((name, old, new))
        if error is not None:
            self.errors.append(error)

    @property
    def states(self) -> list[ChildState]:
        """Return the new states in order."""
        return [new for _, _, new in self.changes]


class Flaky:
    """A main that crashes in each of its first runs, `crashes` times, and then stays."""

    def __init__(self, crashes: int, lives_s: float = 0.0) -> None:
        self.crashes, self.lives_s = crashes, lives_s
        self.began_at_s: list[float] = []

    async def __call__(self, child: Child) -> None:
        """Run once."""
        self.began_at_s.append(trio.current_time())
        child.started()
        if len(self.began_at_s) <= self.crashes:
            await trio.sleep(self.lives_s)
            raise ValueError(f"crash {len(self.began_at_s)}")
        await trio.sleep_forever()


async def stay(child: Child) -> None:
    """Start and stay."""
    child.started()
    await trio.sleep_forever()


def health(supervisor: Supervisor, name: str = "a") -> ChildHealth:
    """Return the health of one child."""
    [found] = [child for child in supervisor.health() if child.name == name]
    return found


def flaky_spec(main: Main, *, restart: Restart = Restart.PERMANENT, revive_after_s: float | None = None) -> ChildSpec:
    """A child `a` with three restarts in 30 s and waits of 1, 2 and 4 s."""
    return ChildSpec(name="a", main=main, restart=restart, backoff=STEADY, revive_after_s=revive_after_s)
