"""`entities` and its checker: a change that is lost, overwritten or read as it was before is found, and nothing else is."""

from collections.abc import Callable
from pathlib import Path

import pytest
from server_process import ServerProcess
from tiny_runs import demand_measured, tiny_run

from loadtest.promises.history import History, Violation
from loadtest.promises.versions import Version, Versions
from loadtest.scenarios.entities import MIX, Entities


@pytest.fixture
def versions() -> Versions:
    """A checker that knows the thing x, made by anna and changed by ben."""
    made = Versions(History())
    made.acknowledged(1, "anna", "x", Version(1, "first"))
    made.acknowledged(2, "ben", "x", Version(2, "second"))
    return made


def test_entities_finds_nothing_wrong_with_the_service(server: ServerProcess, tmp_path: Path) -> None:
    """The scenario runs to its end, and has recorded every operation in the open loop, and changes that came too late."""
    scenario = Entities()

    site, samples = tiny_run(scenario, server, tmp_path)

    demand_measured(scenario, site)
    found = {each.name for each in samples.operations() if each.loop == "open"}
    assert found <= MIX.keys()
    assert {each.name for each in samples.operations() if each.loop == "closed"} == MIX.keys()
    assert any("409" in each.statuses for each in samples.operations() if each.name in ("change", "replace"))


def test_versions_in_turn_are_right(versions: Versions) -> None:
    """Old and new versions may be read while changes are under way; at the end it is the newest."""
    at_least = versions.newest("x")
    versions.acknowledged(3, "anna", "x", Version(3, "third"))
    versions.read(4, "carl", "x", Version(2, "second"), at_least)
    versions.read(5, "carl", "x", Version(4, "fourth"), at_least)
    versions.acknowledged(6, "ben", "x", Version(4, "fourth"))

    versions.demand({"x": Version(4, "fourth")})

    assert versions.checked > 0


def _told_to_two(versions: Versions) -> None:
    versions.acknowledged(3, "anna", "x", Version(2, "other"))


def _read_as_it_was(versions: Versions) -> None:
    versions.read(3, "anna", "x", Version(1, "first"), versions.newest("x"))


def _read_as_it_never_was(versions: Versions) -> None:
    versions.read(3, "anna", "x", Version(2, "other"), 0)


def _lost(versions: Versions) -> None:
    versions.demand({})


def _listed_as_it_was(versions: Versions) -> None:
    versions.demand({"x": Version(1, "first")})


def _listed_as_it_never_was(versions: Versions) -> None:
    versions.demand({"x": Version(2, "other")})


def _changed_by_nobody(versions: Versions) -> None:
    versions.demand({"x": Version(3, "third")})


def _changed_by_nobody_in_between(versions: Versions) -> None:
    versions.acknowledged(3, "anna", "x", Version(4, "fourth"))
    versions.demand({"x": Version(4, "fourth")})


def _made_by_nobody(versions: Versions) -> None:
    versions.acknowledged(3, "anna", "y", Version(1, "y"))
    versions.demand({"x": Version(2, "second"), "y": Version(1, "y"), "z": Version(1, "z")})


@pytest.mark.parametrize(
    "lie",
    [
        _told_to_two,
        _read_as_it_was,
        _read_as_it_never_was,
        _lost,
        _listed_as_it_was,
        _listed_as_it_never_was,
        _changed_by_nobody,
        _changed_by_nobody_in_between,
        _made_by_nobody,
    ],
)
def test_version_that_cannot_be_is_found(versions: Versions, lie: Callable[[Versions], None]) -> None:
    """Control: each lie is told by the name of the promise."""
    with pytest.raises(Violation, match="no change is lost"):
        lie(versions)


def test_lost_version_is_told_with_its_history(versions: Versions) -> None:
    """Control: who changed the thing, and to what, is among what is printed."""
    with pytest.raises(Violation) as broken:
        versions.demand({"x": Version(1, "first")})

    assert any("ben" in line and "second" in line for line in broken.value.history)


def test_change_without_an_answer_may_be_there(versions: Versions) -> None:
    """What has no answer is taken as it is found, but only as it was sent."""
    versions.unknown(3, "anna", "x", "third")
    versions.unknown(3, "anna", None, "new")

    versions.demand({"x": Version(3, "third"), "y": Version(1, "new")})
    versions.demand({"x": Version(2, "second")})

    with pytest.raises(Violation):
        versions.demand({"x": Version(3, "other")})
