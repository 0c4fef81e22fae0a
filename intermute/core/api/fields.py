"""Field types that several commands share; the descriptions go into the OpenAPI document and into refusals."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from intermute.core import limits

ONE_LINE: Final = r"^[^\x00-\x1f\x7f]*$(?!\n)"
ONE_LINE_WITH_TEXT: Final = r"^ *[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$(?!\n)"
SOME_TEXT: Final = r"\S"
PATTERN_HINTS: Final = {
    SOME_TEXT: "text that is more than blanks",
    ONE_LINE: "one line without control characters",
    ONE_LINE_WITH_TEXT: "one line with at least one visible character and no control characters",
}
"""What a refusal says instead of quoting the expression."""

Address = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=limits.ADDRESS_CHARS_MAX,
        pattern=ONE_LINE_WITH_TEXT,
        description="An agent's id or its name.",
    ),
]
LegacyAddress = Annotated[
    Address,
    Meta(
        extra={"blank_is_absent": True},
        description="An agent's id or its name; as in the original, an empty one counts as absent.",
    ),
]
Line = Annotated[str, Meta(max_length=limits.LINE_CHARS_MAX, pattern=ONE_LINE)]
Identifier = Annotated[str, Meta(max_length=limits.ADDRESS_CHARS_MAX, pattern=ONE_LINE)]
ProjectText = Annotated[
    str,
    Meta(
        max_length=limits.LINE_CHARS_MAX,
        description="The project; when absent, the key's, or `default` for a local caller.",
    ),
]
Cursor = Annotated[int, Meta(ge=0, le=2**63 - 1, description="A place in the project's event log.")]
LegacyNumber = Annotated[
    int, Meta(extra={"lenient": True}, description="As in the original, text that is not a number counts as absent.")
]
Metadata = Annotated[
    dict[
        Annotated[str, Meta(min_length=1, max_length=limits.ADDRESS_CHARS_MAX)],
        Annotated[str, Meta(max_length=limits.METADATA_CHARS_MAX)],
    ],
    Meta(max_length=limits.METADATA_KEYS_MAX),
]
WaitSeconds = Annotated[
    float, Meta(ge=0, le=limits.WAIT_MAX_S, description="How long to wait for something new, in seconds; at most 55.")
]
Limit = Annotated[int, Meta(description="How many rows at most; larger wishes get the largest page.")]


class Input(Struct, kw_only=True, frozen=True):
    """Base of all commands and queries: keyword-only, immutable."""


class View(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """Base of all answers: fields keep their order, and a field at its default is left out of the JSON."""
