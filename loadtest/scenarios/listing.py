"""What is listed as active in a project, compared with what was acknowledged."""

from loadtest.engine.site import Site
from loadtest.promises.durability import Durability


def content_of(pattern: str, agent: object) -> str:
    """Return what a reservation is compared by."""
    return f"{pattern} for {agent}"


async def demand_kept(site: Site, project: str, kept: Durability) -> None:
    """Demand that what is listed as active is what was acknowledged, and nothing else. Raises: LoadFailed, Violation."""
    rows = await site.rows(f"/api/reservations?project={project}", "reservations")
    kept.demand(
        {str(row["id"]): content_of(str(row["path_pattern"]), row["agent_id"]) for row in rows}, "after the load"
    )
