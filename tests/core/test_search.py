"""What is looked for: phrases that the index can only take as phrases (issue 6 point 5)."""

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import raises

from intermute.core import limits
from intermute.core.errors import InvalidRequest
from intermute.core.search import Place, phrases


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("deploy", '"deploy"'),
        ("deploy failed", '"deploy" "failed"'),
        ('"deploy failed" now', '"deploy failed" "now"'),
        ('an open "quote at the end', '"an" "open" "quote at the end"'),
        ("a OR b NOT c", '"a" "OR" "b" "NOT" "c"'),
        ("body:x -y ^z w* (v)", '"body:x" "-y" "^z" "w*" "(v)"'),
        ("-- deploy --", '"deploy"'),
        ('x""y', '"x" "y"'),
        ("src/api/*.py", '"src/api/*.py"'),
    ],
)
def test_search_is_phrases(wanted: str, found: str) -> None:
    """Words are phrases of one, quoted ones stay together, and no operator is left."""
    assert phrases(wanted) == found


@pytest.mark.parametrize("wanted", ["--", '""', '"', "* ( ) ^", " . "])
def test_search_without_a_word_is_refused(wanted: str) -> None:
    """What would match nothing, whatever there is, says so."""
    with raises(InvalidRequest):
        phrases(wanted)


def test_search_has_a_bound() -> None:
    """So many words and no more."""
    most = limits.SEARCH_WORDS_MAX

    assert phrases("a " * most).count('"a"') == most
    with raises(InvalidRequest):
        phrases("a " * (most + 1))


@given(st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=60))
def test_search_is_never_wrong_for_the_index(wanted: str) -> None:
    """Whatever is written, the index takes it; or it is refused before."""
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE VIRTUAL TABLE words USING fts5 (body, tokenize = 'unicode61 remove_diacritics 2')")
    try:
        found = phrases(wanted)
    except InvalidRequest:
        return

    assert connection.execute("SELECT rowid FROM words WHERE words MATCH ?", (found,)).fetchall() == []


def test_place_is_read_as_it_was_written() -> None:
    """A cursor comes back as the place it stands for."""
    assert Place.read(Place(12, 40).write()) == Place(12, 40)


@pytest.mark.parametrize("text", ["", "12", "12-", "-3", "a-b", "1-2-3", "\uff11-\uff12", "9" * 19 + "-0", "1-99999"])
def test_place_that_no_search_has_given_is_refused(text: str) -> None:
    """Anything else is named as what it is."""
    with raises(InvalidRequest):
        Place.read(text)
