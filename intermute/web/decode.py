"""Strict decoding: from path, query and body to an operation's input, with every bad field named in one refusal.

Rules of contract.md 0.2 and design.md 9: `null` is absent; a name matches exactly, else in any case; wrong types are
refused; an unknown field is refused by name with the nearest known one, unless the original's own client sends it.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, Final, get_args, get_origin

import msgspec

from intermute.core.api.fields import PATTERN_HINTS
from intermute.core.errors import InvalidRequest
from intermute.core.operations import LEGACY_FIELDS, LEGACY_QUERY, Operation
from intermute.web.body import json_object

_REGEX_TEXT: Final = re.compile(r"matching regex '(.*)'", re.DOTALL)
_INNER_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_WHERE: Final = re.compile(r" - at `\$(.*)`")
_PROBLEMS_MAX: Final = 100  # fields named in one refusal, five times what our largest input has; each costs a search.
_SHOWN_NAME_CHARS: Final = 80  # characters of an unknown field's name that a refusal repeats; the rest tells nothing.


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of an input: its JSON name, its attribute, and how its text is read where it comes as text."""

    name: str
    attribute: str
    type: Any  # Any: a type expression, as msgspec takes it.
    is_required: bool
    is_text: bool
    is_lenient: bool
    is_blank_absent: bool
    is_list: bool

    @property
    def is_plain_text(self) -> bool:
        """Whether one text is taken as it is or refused."""
        return self.is_text and not (self.is_lenient or self.is_blank_absent or self.is_list)


@cache
def fields_of(input_type: type) -> Mapping[str, _Field]:
    """Return the fields of an input by their JSON names."""
    return {
        field.encode_name: _Field(
            field.encode_name,
            field.name,
            field.type,
            field.required,
            is_text=not _mentions(field.type, {int, float, bool}),
            is_lenient=_is_marked(field.type, "lenient"),
            is_blank_absent=_is_marked(field.type, "blank_is_absent"),
            is_list=_is_list(field.type),
        )
        for field in msgspec.structs.fields(input_type)
    }


def _mentions(expression: Any, types: set[type]) -> bool:  # Any: a type expression.
    return expression in types or any(_mentions(part, types) for part in get_args(expression))


def _is_marked(expression: Any, mark: str) -> bool:  # Any: a type expression.
    if isinstance(expression, msgspec.Meta):
        return bool((expression.extra or {}).get(mark))
    return any(_is_marked(part, mark) for part in get_args(expression))


def _is_list(expression: Any) -> bool:  # Any: a type expression.
    return get_origin(expression) is list or any(_is_list(part) for part in get_args(expression))


def decode(operation: Operation, path: Mapping[str, str], query: Sequence[tuple[str, str]], body: bytes) -> Any:
    """Return the operation's input (Any: of the type that its row names).

    Raises: MalformedJson, InvalidRequest.
    """
    takes_object = operation.takes_body and (bool(body.strip()) or not operation.may_lack_body)
    given = json_object(body, values_max=operation.values_max) if takes_object else {}
    found = _at_once(operation, path, query, given)
    return _field_by_field(operation, path, query, given) if found is None else found


def _at_once(
    operation: Operation, path: Mapping[str, str], query: Sequence[tuple[str, str]], given: Mapping[str, object]
) -> object | None:
    """Return the input where all that came has the names and types that it should have; None where it needs a closer look.

    What `_field_by_field` returns, in a fifth of the time, for what nearly everyone sends.
    """
    fields = fields_of(operation.input)
    values: dict[str, object] = {}
    for name, text in query:
        field = fields.get(name)
        if field is None or not field.is_plain_text or name in values or operation.takes_body:
            return None
        if text:
            values[name] = text
    for name, value in given.items():
        field = fields.get(name)
        if field is None or (type(value) is list and None in value):
            return None
        if value is not None and not (value == "" and field.is_blank_absent):
            values[name] = value
    for name, text in path.items():
        field = fields.get(name)
        if field is None or not field.is_plain_text:
            return None
        values[name] = text
    try:
        return msgspec.convert(values, operation.input)
    except msgspec.ValidationError:
        return None


def _field_by_field(
    operation: Operation, path: Mapping[str, str], query: Sequence[tuple[str, str]], given: Mapping[str, object]
) -> object:
    problems: list[tuple[str, str]] = []
    values: dict[str, object] = {}
    fields = fields_of(operation.input)
    _take(operation, _from_text(query, fields), fields, values, problems, is_text=True, source="query")
    _take(operation, given, fields, values, problems, is_text=False, source="body")
    _take(operation, path, fields, values, problems, is_text=True, source="path")
    known = {problem[0] for problem in problems}
    problems += [
        (field.name, "is required")
        for field in fields.values()
        if field.is_required and field.attribute not in values and field.name not in known
    ]
    if problems:
        raise InvalidRequest(problems)
    return operation.input(**values)


def _from_text(pairs: Sequence[tuple[str, str]], fields: Mapping[str, _Field]) -> Mapping[str, object]:
    """Return the values of a query: all of them for a field that is a list, else, as in the original, the first one.

    An empty value is as good as none.
    """
    found: dict[str, object] = {}
    lists: dict[str, list[str]] = {}
    for name, value in pairs:
        field = fields.get(name) or fields.get(name.lower())
        if field is not None and field.is_list:
            found[name] = lists.setdefault(name, [])
            lists[name] += [value] if value else []
        else:
            found.setdefault(name, value or None)
    return found


def _take(
    operation: Operation,
    given: Mapping[str, object],
    fields: Mapping[str, _Field],
    values: dict[str, object],
    problems: list[tuple[str, str]],
    *,
    is_text: bool,
    source: str,
) -> None:
    seen: set[str] = set()
    for name, value in given.items():
        if len(problems) >= _PROBLEMS_MAX:
            return
        field = fields.get(name) or fields.get(name.lower())
        if field is not None and source == "body":
            if field.name in seen:  # In two spellings: which of them is meant, the order of names must not decide.
                problems.append((field.name, "comes twice, in small and in capital letters"))
            seen.add(field.name)
        if field is None:
            if not _is_ignored(name, source):
                problems.append((name[:_SHOWN_NAME_CHARS], _unknown(name, fields)))
        elif source == "query" and operation.takes_body and field.name not in LEGACY_QUERY:
            problems.append((field.name, "goes into the body, not into the query"))
        elif value is not None and not (value == "" and field.is_blank_absent):
            _convert(field, value, values, problems, is_text=is_text)


def _is_ignored(name: str, source: str) -> bool:
    return name.lower() in (LEGACY_QUERY if source == "query" else LEGACY_FIELDS)


def _unknown(name: str, fields: Mapping[str, _Field]) -> str:
    nearest = difflib.get_close_matches(name.lower()[:_SHOWN_NAME_CHARS], fields, n=1, cutoff=0.6)
    if nearest:
        return f"is not a field of this operation; did you mean {nearest[0]!r}?"
    return f"is not a field of this operation; it takes {', '.join(sorted(fields)) or 'none'}"


def _convert(
    field: _Field, value: object, values: dict[str, object], problems: list[tuple[str, str]], *, is_text: bool
) -> None:
    try:
        values[field.attribute] = msgspec.convert(_legacy_nulls(value), field.type, strict=not is_text or field.is_text)
    except msgspec.ValidationError as error:
        if not (is_text and field.is_lenient):
            problems.append((field.name, _readable(str(error), field.type)))


def _legacy_nulls(value: object) -> object:
    """Return the value with `null` inside a list of texts as the empty text, as the original reads it."""
    if isinstance(value, list) and None in value and all(each is None or isinstance(each, str) for each in value):
        return ["" if each is None else each for each in value]
    return value


def _readable(text: str, expression: Any) -> str:  # Any: a type expression.
    """Return msgspec's text in words that say what is taken there, and where inside the field it is."""
    hint = _REGEX_TEXT.search(text)
    if hint:
        pattern = hint[1].encode().decode("unicode_escape") if "\\\\" in hint[1] else hint[1]
        text = text.replace(hint[0], f"that is {PATTERN_HINTS.get(pattern, 'of the documented form')}")
    where = _WHERE.search(text)
    if where:
        text, expression = text[: where.start()], _type_at(expression, where[1])
    if (unknown := _INNER_UNKNOWN.fullmatch(text)) is not None:
        structs = [each for each in _classes_in(expression) if issubclass(each, msgspec.Struct)]
        text = f"{unknown[1][:_SHOWN_NAME_CHARS]!r} {_unknown(unknown[1], fields_of(structs[0]))}"
    elif text.startswith("Invalid enum value"):
        enums = [each for each in _classes_in(expression) if issubclass(each, Enum)]
        text = f"use one of {', '.join(str(each.value) for each in enums[0])}"
    text = text.replace("`", "").replace(" | null", "").replace("Expected", "expected", 1)
    return f"{text} at {where[1].lstrip('.') or 'the top'}" if where else text


def _type_at(expression: Any, where: str) -> Any:  # Any: type expressions.
    """Return the type of what is at this place inside a value, such as `[0].calls[3]`."""
    for name in re.findall(r"\.([^.\[]+)", where):
        for struct in [each for each in _classes_in(expression) if issubclass(each, msgspec.Struct)]:
            if (found := fields_of(struct).get(name)) is not None:
                expression = found.type
    return expression


def _classes_in(expression: Any) -> list[type]:  # Any: a type expression.
    """Return the classes that a type expression mentions."""
    found = [expression] if isinstance(expression, type) and not get_args(expression) else []
    return found + [each for part in get_args(expression) for each in _classes_in(part)]
