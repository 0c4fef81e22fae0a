"""`inbox`: every kind of page is measured, and a page with other messages than those that come next is found."""

import json
from pathlib import Path

import pytest
from server_process import ServerProcess
from tiny_runs import demand_measured, tiny_run

from loadtest.engine.connection import Answer
from loadtest.engine.site import Site
from loadtest.promises.history import Violation
from loadtest.scenarios.inbox import Inbox, Pager, Stored


def test_inbox_finds_nothing_wrong_with_the_service(server: ServerProcess, tmp_path: Path) -> None:
    """The messages are stored through the interface, paged in every way, and read whole at the end."""
    scenario = Inbox((250, 150))

    site, samples = tiny_run(scenario, server, tmp_path)

    demand_measured(scenario, site)
    closed = {each.name: set(each.statuses) for each in samples.operations() if each.loop == "closed"}
    kinds = ("page of 100", "page of 100 of 1,000 messages", "first page of 100", "page of 10", "nothing new")
    assert closed == {kind: {"200"} for kind in kinds}
    assert sum(site.watch.checked().values()) == 400


@pytest.fixture
def pager(tmp_path: Path) -> Pager:
    """A reader of three messages at the place after the first two."""
    stored = Stored("inbox")
    stored.cursors, stored.messages = [5, 7, 8, 9, 20], ["a", "b", "c", "d", "e"]
    return Pager(Site(port=1, seed=7, is_quick=True, directory=tmp_path), 0, "page of 3", stored, 3, 2)


def _page(*messages: str) -> Answer:
    shown = [{"id": each, "cursor": number, "kind": "to"} for number, each in enumerate(messages)]
    return Answer(200, json.dumps({"messages": shown, "cursor": 20}).encode(), b"")


def test_page_that_goes_on_where_the_cursor_is_is_right(pager: Pager) -> None:
    """The cursor that is sent is that of the last message before the page."""
    operation, wanted = pager.ask()

    pager.take(_page("c", "d", "e"), 0, 0)

    assert operation == "page of 3"
    assert b"/api/inbox/reader?project=inbox&since_cursor=7&limit=3 " in wanted


@pytest.mark.parametrize("messages", [("c", "d"), ("d", "e"), ("b", "c", "d"), ("c", "d", "d"), ("c", "e", "d"), ()])
def test_page_with_other_messages_breaks_the_promise(pager: Pager, messages: tuple[str, ...]) -> None:
    """One that is missing, doubled, shifted or out of order is told, with the page and what was acknowledged."""
    pager.ask()

    with pytest.raises(Violation) as broken:
        pager.take(_page(*messages), 0, 0)

    assert broken.value.history == [f"the page: {list(messages)}", "what was acknowledged: ['c', 'd', 'e']"]
