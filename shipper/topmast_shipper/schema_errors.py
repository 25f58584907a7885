"""What a schema refuses, in words for who wrote the file: the key that was probably meant, or those there are."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # it costs 7 MB and a tenth of a second; a shipper that runs has no more use for it
    from jsonschema.exceptions import ValidationError

_CHARACTERS = 300
_BRANCHED = ("oneOf", "anyOf")
# What a value fails at that is not of the kind that a branch is about.
_KINDS = ("type", "enum", "const")


def first(schema: Mapping[str, Any], value: object) -> str | None:
    """Return `.json.path: what is wrong` (the path of the value itself is empty), or None when nothing is."""
    from jsonschema import Draft202012Validator

    errors = list(Draft202012Validator(dict(schema)).iter_errors(value))
    if not errors:
        return None
    error = _likeliest(errors)
    return f"{error.json_path[1:]}: {_told(error)[:_CHARACTERS]}"


def _likeliest(errors: Iterable["ValidationError"]) -> "ValidationError":
    """Return the error to tell: the outermost, of these a key that is none first (which often is one that lacks)."""
    error = min(errors, key=lambda each: (len(each.absolute_path), each.validator != "additionalProperties"))
    if error.validator not in _BRANCHED or not error.context:
        return error
    branches: dict[Any, list[ValidationError]] = {}
    for each in error.context:
        branches.setdefault(each.schema_path[0], []).append(each)
    meant = [branch for branch in branches.values() if not any(_is_of_another_kind(each) for each in branch)]
    if not meant and isinstance(error.instance, str):
        # text that is none of those that there are
        meant = [branch for branch in branches.values() if any(each.validator == "enum" for each in branch)]
    return _likeliest(meant[0]) if len(meant) == 1 else error


def _is_of_another_kind(error: "ValidationError") -> bool:
    return error.validator in _KINDS and not error.path


def _told(error: "ValidationError") -> str:
    value: Any = error.instance
    asked: Any = error.validator_value
    if error.validator == "additionalProperties" and isinstance(error.schema, Mapping):
        known = sorted(error.schema.get("properties", {}))
        unknown = sorted(str(key) for key in value if key not in known)
        return f"no key {unknown[0][:80]!r}{_meant(unknown[0], known)}"
    if error.validator == "enum" and isinstance(value, str):
        return f"no {value[:80]!r}{_meant(value, [str(each) for each in asked])}"
    if error.validator in _BRANCHED and (names := _required(asked)):
        many = len([name for name in names if name in value]) > 1
        return f"{' or '.join(names)}: one of them{', not both' if many else ' is needed'}"
    return error.message


def _meant(said: str, known: list[str]) -> str:
    near = get_close_matches(said[:80], known, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"


def _required(branches: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the keys of which there has to be one; empty when that is not what the branches say."""
    branches = list(branches)
    only = all(list(each) == ["required"] and len(each["required"]) == 1 for each in branches)
    return [each["required"][0] for each in branches] if only else []
