"""The symbol index on the wire: which symbols a commit has, and which of them call which. Source: claims.md 6 and 7."""

from typing import Annotated

from msgspec import Meta, Struct, field

from intermute.core import limits
from intermute.core.api.claims import AddressText, PathText
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
Share = Annotated[float, Meta(ge=0, le=1, description="How sure it is that just this symbol is called; without it 1.")]


class SymbolDefinition(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One symbol of a file, with the lines it takes."""

    name: Line
    kind: Line | None = None
    start: LineNumber | None = None
    end: LineNumber | None = None


class CallDefinition(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One symbol of the file calls another. Both are names in the file, or addresses `path::symbol`.

    How sure it is that just this one is called is `confidence`, or follows from what is known of the call: `resolved`, `on_self`
    (`self.m`), or `same_named`: how many methods it may mean.
    """

    caller: AddressText = field(name="from")
    callee: AddressText = field(name="to")
    confidence: Share | None = None
    resolved: bool | None = None
    on_self: bool | None = None
    same_named: Annotated[int, Meta(ge=1, le=2**31)] | None = None


class FileSymbols(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The symbols and calls of one file."""

    path: PathText
    sha256: Annotated[str, Meta(max_length=64, description="Of the file's content, in hexadecimal.")] | None = None
    language: Line | None = None
    symbols: Annotated[list[SymbolDefinition], Meta(max_length=limits.UPLOAD_SYMBOLS_MAX)] = []
    calls: Annotated[list[CallDefinition], Meta(max_length=limits.UPLOAD_CALLS_MAX)] = []


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
