"""Acting for an agent: whose call changes what an agent says of itself."""

from intermute.core.agents import Agent
from intermute.core.errors import AgentIdentityMismatch, UnknownAgent
from intermute.project.transaction import Transaction


def one_acted_for(address: str, tx: Transaction) -> Agent:
    """Return the agent that a call is about. Raises: UnknownAgent; AgentIdentityMismatch, where another one proves itself."""
    agent = tx.state.agents.find(address)
    if agent is None:
        raise UnknownAgent(address)
    identity = tx.identity()
    if identity.is_verified and identity.address != agent.id:
        raise AgentIdentityMismatch
    return agent


def itself(address: str, tx: Transaction) -> Agent:
    """Return the agent that decides who may write to it: a caller that says it is another one is refused, proved or not.

    Raises: UnknownAgent, AgentIdentityMismatch.
    """
    agent = one_acted_for(address, tx)
    if tx.identity().address not in (None, agent.id):
        raise AgentIdentityMismatch
    return agent
