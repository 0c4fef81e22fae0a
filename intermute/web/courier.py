"""The courier: carries live messages from the project, which has stored them, into terminals, and notes what became of them.

It is a child beside the web edge. A sender waits for it, for two seconds at most; whoever hangs up changes nothing about
what is under way. What it does not come to is not lost: a poke stays stored until its end is noted. Source: contract.md 1.10,
issue 6 point 3, design.md 4 (no subprocess in an actor's turn).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, cast

import msgspec
import trio
from msgspec.structs import replace

from intermute.core import limits
from intermute.core.agents import Caller
from intermute.core.api.messages import SendMessage, Sent
from intermute.core.errors import DomainError, LiveDeliveryFailed
from intermute.core.ids import AgentId, ProjectName
from intermute.core.live import PokeResult, Transport
from intermute.core.once import Reply
from intermute.project.handlers.pokes import NotePokes, Planned, PlannedPokes
from intermute.project.registry import Registry
from intermute.web.tmux import InjectionFailed, Injector
from supervisor import Child

_OURSELVES: Final = Caller(is_local=True)
_LATE: Final = "it took too long"
_BUSY: Final = "too many messages are on their way"
_NO_WAY: Final = "this server has no way into a terminal"


@dataclass(slots=True)
class _Errand:
    """What is to be done for one message."""

    project: ProjectName
    message_id: str
    transport: Transport
    planned: list[Planned]
    until_s: float
    results: dict[AgentId, tuple[PokeResult, str]] = field(default_factory=dict)
    is_noted: trio.Event = field(default_factory=trio.Event)

    def fail_rest(self, reason: str) -> None:
        """Say of every terminal that has no result that it failed."""
        for each in self.planned:
            self.results.setdefault(each.agent, (PokeResult.FAILED, reason))


class Courier:
    """Carries live messages. Without an injector every terminal is out of reach."""

    def __init__(self, registry: Registry, injector: Injector | None, log: Callable[..., None]) -> None:
        self._registry, self._injector, self._log = registry, injector, log
        self._errands, self._waiting = trio.open_memory_channel[_Errand](limits.INJECTIONS_WAITING_MAX)

    async def run(self, child: Child) -> None:
        """Carry what comes until cancelled; the errands outlive a crash."""
        child.started()
        async with trio.open_nursery() as nursery:
            for _ in range(limits.INJECTIONS_AT_ONCE):
                nursery.start_soon(self._carry_on)

    async def deliver(self, project: ProjectName, command: SendMessage, reply: object) -> object:
        """Return the answer to a message that has been stored, once its terminals have had their time.

        A repetition is answered as it is: what it asks for has been done. Raises: DomainError, LiveDeliveryFailed among them.
        """
        sent = msgspec.json.decode(reply.body, type=Sent) if isinstance(reply, Reply) else reply
        assert isinstance(sent, Sent)
        if sent.replayed or (isinstance(reply, Reply) and reply.is_repeat):
            return reply
        planned = cast(
            "list[Planned]",  # cast: a query has a view of its own; see `Registry.answer`.
            await self._registry.answer(project, PlannedPokes(message_id=sent.message_id), _OURSELVES),
        )
        if not planned:
            return reply
        until_s = trio.current_time() + limits.INJECT_WITHIN_S
        errand = _Errand(project, sent.message_id, Transport(command.transport or ""), planned, until_s)
        await self._hand_over(errand)
        errand.fail_rest(_LATE)  # Of a courier that has crashed over it.
        return _answer(errand, sent, reply)

    async def _hand_over(self, errand: _Errand) -> None:
        if self._injector is None:
            errand.fail_rest(_NO_WAY)
            await self._note(errand)
            return
        try:
            self._errands.send_nowait(errand)
        except trio.WouldBlock:
            errand.fail_rest(_BUSY)
            await self._note(errand)
            return
        with trio.move_on_at(errand.until_s + limits.NOTE_WITHIN_S):
            await errand.is_noted.wait()

    async def _carry_on(self) -> None:
        async for errand in self._waiting:
            with trio.move_on_at(errand.until_s):
                async with trio.open_nursery() as nursery:
                    for planned in errand.planned:
                        nursery.start_soon(self._inject, errand, planned)
            errand.fail_rest(_LATE)
            await self._note(errand)

    async def _inject(self, errand: _Errand, planned: Planned) -> None:
        assert self._injector is not None
        try:
            await self._injector.inject(planned.target, planned.text)
        except InjectionFailed as failed:
            errand.results[planned.agent] = (PokeResult.FAILED, str(failed))
        else:
            errand.results[planned.agent] = (PokeResult.INJECTED, "")

    async def _note(self, errand: _Errand) -> None:
        results = tuple((agent, result, reason) for agent, (result, reason) in errand.results.items())
        for agent, result, reason in results:
            if result is PokeResult.FAILED:
                self._log("live.failed", project=errand.project, agent=agent, message=errand.message_id, reason=reason)
        try:
            await self._registry.answer(
                errand.project,
                NotePokes(message_id=errand.message_id, transport=errand.transport, results=results),
                _OURSELVES,
            )
        except DomainError as error:
            # It is shown once more when its agent asks for pokes, which is better than never.
            self._log("live.not_noted", project=errand.project, message=errand.message_id, error=str(error))
        errand.is_noted.set()


def _answer(errand: _Errand, sent: Sent, reply: object) -> object:
    """Return the reply with what became of it. Raises: LiveDeliveryFailed, where it went into terminals alone and missed one."""
    is_live = errand.transport is Transport.LIVE
    how = {address: _word(errand, each) for each in errand.planned for address in each.addresses}
    delivery: str | dict[str, str] = next(iter(how.values()))
    if isinstance(sent.delivery, dict):
        delivery = {address: how.get(address, word) for address, word in sent.delivery.items()}
    if is_live and any(result is PokeResult.FAILED for result, _ in errand.results.values()):
        raise LiveDeliveryFailed(delivery)
    told = msgspec.structs.replace(sent, delivery=delivery)
    if isinstance(reply, Reply):
        return replace(reply, body=msgspec.json.encode(told) + b"\n")
    return told


def _word(errand: _Errand, planned: Planned) -> str:
    """Return how a recipient is reached: what no terminal took is shown later, where it went into the inbox as well."""
    result, _ = errand.results[planned.agent]
    is_shown_later = result is PokeResult.FAILED and errand.transport is Transport.BOTH
    return PokeResult.DEFERRED if is_shown_later else result
