"""Ids and project names: what is minted finds its project again, and what is no name is none (design.md 6)."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermute.core.ids import (
    PROJECT_NAME_CHARS_MAX,
    ProjectName,
    RandomBits,
    mint_id,
    normal_project_name,
    project_digest,
    project_tag,
    tag_of,
)
from intermute.core.names import generated_name

MINTED = mint_id(ProjectName("demo"), lambda count: 2**count - 1)
projects = st.text(min_size=1, max_size=20).map(ProjectName)
bits = st.integers(min_value=0, max_value=2**74 - 1)


def drawing(*numbers: int) -> RandomBits:
    """Return random bits that are these numbers, one after the other."""
    draws = iter(numbers)
    return lambda _count: next(draws)


@given(projects.filter(lambda name: name.isprintable()), bits)
def test_minted_id_is_a_uuid_of_its_project(project: ProjectName, value: int) -> None:
    """Every minted id is a version 8 UUID whose tag is the project's."""
    minted = mint_id(project, drawing(value))

    parsed = uuid.UUID(minted)
    assert (parsed.version, parsed.variant, str(parsed)) == (8, uuid.RFC_4122, minted)
    assert tag_of(minted) == project_tag(project)


@given(st.lists(bits, min_size=2, max_size=2, unique=True))
def test_minted_ids_keep_every_random_bit(values: list[int]) -> None:
    """Two draws of 74 bits that differ give two ids that differ."""
    first, second = (mint_id(ProjectName("demo"), drawing(value)) for value in values)

    assert first != second


@pytest.mark.parametrize(
    "text", ["", "anna", "5f0c6c1e-8f1c-4a57-9a2e-0d5b7a0f4c11", MINTED.upper(), f"{MINTED}\n", MINTED[1:]]
)
def test_tag_of_other_texts_is_none(text: str) -> None:
    """A name, another kind of UUID, and an id in another spelling carry no tag."""
    assert tag_of(text) is None


def test_project_tag_begins_the_file_name() -> None:
    """The tag is enough to find the file."""
    assert project_digest(ProjectName("demo")).startswith(project_tag(ProjectName("demo")))
    assert project_digest(ProjectName("demo")) != project_digest(ProjectName("Demo"))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("demo", "demo"),
        ("a b", "a b"),
        ("../x", "../x"),
        ("e\u0301", "é"),
        ("x" * PROJECT_NAME_CHARS_MAX, "x" * PROJECT_NAME_CHARS_MAX),
        ("x" * (PROJECT_NAME_CHARS_MAX - 1), "x" * (PROJECT_NAME_CHARS_MAX - 1)),
        ("x" * (PROJECT_NAME_CHARS_MAX + 1), None),
        ("", None),
        (" demo", None),
        ("demo ", None),
        ("de\nmo", None),
        ("de\0mo", None),
        ("de\u202emo", None),
        ("\ud800", None),
    ],
)
def test_project_name_is_normal_or_none(text: str, name: str | None) -> None:
    """One to 128 printable characters in NFC, without a space at either end."""
    assert normal_project_name(text) == name


@given(st.text(max_size=40))
def test_project_name_is_its_own_normal_form(text: str) -> None:
    """Normalising twice changes nothing more."""
    name = normal_project_name(text)

    assert name is None or normal_project_name(name) == name


def test_generated_names_differ_in_both_words() -> None:
    """All 1,024 pairs of words are different names of letters only."""
    names = {generated_name(drawing(sky, bird)) for sky in range(32) for bird in range(32)}

    assert len(names) == 1024
    assert all(name.isalpha() for name in names)
