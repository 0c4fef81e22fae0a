"""Work planned ahead: what an agent is going to do, and what a plan of several would run into."""

from collections.abc import Sequence
from typing import Any

from intermute.client.calls import Calls
from intermute.core.api import forecasts, intents
from intermute.core.intents import IntentState


class Planning:
    """Intents, forecasts, and what stands between branches."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def declare(self, *patterns: str, **fields: Any) -> intents.IntentView:
        """Say what the agent is going to do; `fields` are those of `DeclareIntent` (Any: as it has them)."""
        question = intents.DeclareIntent(
            **{"patterns": list(patterns) or None, "agent_id": self._calls.agent, **fields}
        )
        return await self._calls.call(question, intents.IntentView)

    async def report(self, intent_id: str, state: str, commit: str | None = None) -> intents.IntentView:
        """Say how far an intent has come: started, done or abandoned."""
        question = intents.ChangeIntent(
            intent_id=intent_id, state=IntentState(state), agent_id=self._calls.agent, commit=commit
        )
        return await self._calls.call(question, intents.IntentView)

    async def intents(self, **fields: Any) -> intents.IntentList:
        """Return a page of intents; `fields` are those of `ListIntents` (Any: as it has them)."""
        return await self._calls.call(intents.ListIntents(**fields), intents.IntentList)

    async def forecast(self, steps: Sequence[forecasts.PlanStep], **fields: Any) -> forecasts.Forecasted:
        """Return what a plan would run into, without reserving; `fields` are those of `ForecastPlan` (Any: as there)."""
        return await self._calls.call(forecasts.ForecastPlan(plan=list(steps), **fields), forecasts.Forecasted)

    async def reconcile(self, **fields: Any) -> forecasts.Reconciled:
        """Return what stands between the branches, and in which order to merge them; `fields` are those of `Reconcile`."""
        return await self._calls.call(forecasts.Reconcile(**fields), forecasts.Reconciled)  # Any: as it has them.
