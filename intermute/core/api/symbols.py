"""The symbol index on the wire: which symbols a commit has, and which of them call which. Source: claims.md 6 and 7.

What is wrong inside a file is found by `core/symbol_index.py`, which names all of it at once; so most bounds in there stand
here for the description alone.
"""

from typing import Annotated

from msgspec import Meta, Struct, field

from intermute.core import limits
from intermute.core.api.fields import ONE_LINE_WITH_TEXT, Address, Input, Line, ProjectText, View

Commit = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=limits.ADDRESS_CHARS_MAX,
        pattern=ONE_LINE_WITH_TEXT,
        description="The commit that was indexed. Files of one commit add up; another commit starts anew.",
    ),
]
LineNumber = Annotated[int, Meta(ge=1, le=2**31, description="A line of the file, counted from 1.")]
Share = Annotated[
    float,
    Meta(
        description="How sure it is that just this symbol is called; without it 1.",
        extra_json_schema={"minimum": 0, "maximum": 1},
    ),
]
FileText = Annotated[
    str,
    Meta(description="From the top of the repository; no character is special.", extra_json_schema={"maxLength": 1024}),
]
EndText = Annotated[
    str, Meta(description="A symbol of the file, or `path::symbol`; one with `::` in its name has to be listed.")
]
Digest = Annotated[
    str,
    Meta(description="Of the file's content, in hexadecimal.", extra_json_schema={"pattern": "^[0-9a-fA-F]{64}$"}),
]
SameNamed = Annotated[
    int, Meta(description="How many methods it may mean; above 8 it is dropped.", extra_json_schema={"minimum": 0})
]


class SymbolDefinition(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One symbol of a file, with the lines it takes."""

    name: Annotated[str, Meta(description="Its full name in the file, such as `Invoice.total`.")]
    kind: Line | None = None
    start: LineNumber | None = None
    end: LineNumber | None = None


class CallDefinition(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One symbol of the file calls another. Both are names in the file, or addresses `path::symbol`.

    How sure it is that just this one is called is `confidence`, or follows from what is known of the call: `resolved`, `on_self`
    (`self.m`), or `same_named`: how many methods it may mean.
    """

    caller: EndText = field(name="from")
    callee: EndText = field(name="to")
    confidence: Share | None = None
    resolved: bool | None = None
    on_self: bool | None = None
    same_named: SameNamed | None = None


class FileSymbols(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The symbols and calls of one file."""

    path: FileText
    sha256: Digest | None = None
    language: Line | None = None
    symbols: Annotated[list[SymbolDefinition], Meta(max_length=limits.UPLOAD_SYMBOLS_MAX)] | None = None
    calls: Annotated[list[CallDefinition], Meta(max_length=limits.UPLOAD_CALLS_MAX)] | None = None


class UploadSymbols(Input, kw_only=True, frozen=True):
    """Upload symbols and calls, so that a forecast can tell who is touched by a change without being named."""

    project: ProjectText
    commit: Commit
    files: Annotated[list[FileSymbols], Meta(max_length=limits.UPLOAD_FILES_MAX)]
    agent_id: Address | None = None
    agent: Address | None = None


class GetSymbols(Input, kw_only=True, frozen=True):
    """Tell what of the code has been uploaded."""

    project: ProjectText


class DropSymbols(Input, kw_only=True, frozen=True):
    """Forget the uploaded symbols and calls."""

    project: ProjectText
    agent_id: Address | None = None
    agent: Address | None = None


class SymbolIndexView(View, kw_only=True, frozen=True, omit_defaults=False):
    """What has been uploaded: `state` is `ok`, or `unavailable` where there is nothing."""

    project: str
    state: str
    commit: str | None
    files: int
    symbols: int
    calls: int
    uploaded_at: str | None
    by: str | None
    seq: int
