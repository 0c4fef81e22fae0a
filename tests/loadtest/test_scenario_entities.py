"""`entities` and its checker: a change that is lost, overwritten or read as it was before is found, and nothing else is."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from answers import answer, silent_site
from server_process import ServerProcess
from tiny_runs import demand_measured, tiny_run

from loadtest.engine.connection import LoadFailed
from loadtest.promises.history import History, Violation
from loadtest.promises.versions import Version, Versions
from loadtest.scenarios.author import Author, Shelf
from loadtest.scenarios.entities import MIX, Entities


@pytest.fixture
def versions() -> Versions:
    """A checker that knows the thing x, made by anna and changed by ben."""
    made = Versions(History())
    made.acknowledged(1, "anna", "x", Version(1, "first"))
    made.acknowledged(2, "ben", "x", Version(2, "second"))
    return made


def test_entities_finds_nothing_wrong_with_the_service(server: ServerProcess, tmp_path: Path) -> None:
    """The scenario runs to its end, and has recorded every operation in a closed loop of its own."""
    scenario = Entities()

    site, samples = tiny_run(scenario, server, tmp_path)

    demand_measured(scenario, site)
    assert all(samples.times_ms(operation, "closed") for operation in MIX)


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


def test_author_finds_a_change_that_was_undone(tmp_path: Path) -> None:
    """Control: a service that shows an old version after it has acknowledged a new one is caught by the next read."""
    site = silent_site(tmp_path)
    author = Author(site, Shelf("p", Versions(site.watch.history)), 0)
    made = _asked(author, "make")
    author.take(answer(201, {"id": "x", "version": 1, **made}), 0.0, 1.0)
    changed = _asked(author, "change")
    author.take(answer(200, {"id": "x", "version": 2, **changed}), 1.0, 2.0)
    author.mix = {"read": 1}
    author.ask()

    with pytest.raises(Violation, match="no change is lost"):
        author.take(answer(200, {"id": "x", "version": 1, **made}), 2.0, 3.0)


def test_author_finds_a_version_that_is_skipped(tmp_path: Path) -> None:
    """Control: a change that is told to be another version than the next one is a wrong answer."""
    site = silent_site(tmp_path)
    author = Author(site, Shelf("p", Versions(site.watch.history)), 0)
    made = _asked(author, "make")

    with pytest.raises(LoadFailed, match="asked for"):
        author.take(answer(201, {"id": "x", "version": 2, **made}), 0.0, 1.0)


def _asked(author: Author, operation: str) -> dict[str, str]:
    """Let the author ask for something; return the title and the status that it asked for."""
    author.mix = {operation: 1}
    body = json.loads(author.ask()[1].partition(b"\r\n\r\n")[2])
    return {"title": body["title"], "status": body["status"]}
