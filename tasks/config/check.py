"""Validates the sorted keys of a file, also values in which variables were replaced. Each error becomes a sentence with
the key, and with the expected and the found type."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tasks.config.yaml_tree import Place, Tree, path_text
from tasks.model.setting_fields import SHOWS_VALUE

ModelT = TypeVar("ModelT", bound=BaseModel)

_EXPECTED: Mapping[str, str] = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
"""The expected type in words, by pydantic's error type."""

_EXAMPLES: Mapping[str, str] = {
    "int_type": "for example 10",
    "int_from_float": "for example 10",
    "tuple_type": "for example [a, b]",
}
"""A value of the right type, by pydantic's error type."""

_TRUE, _FALSE = frozenset({"true", "yes", "on", "y", "1"}), frozenset({"false", "no", "off", "n", "0"})

_FOUND: Mapping[type, str] = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a mapping",
}


def check(tree: Tree, model: type[ModelT], value: dict[str, Any]) -> ModelT | None:
    """The validated model. If the value is not valid, adds the problems to the tree and returns None.

    Validation is strict: a number in quotes is text, and is not accepted as a number. A scalar in which variables were
    replaced is first validated as the YAML value of its text. If the field refuses that value, the text itself is
    validated. A single text or number where a list is expected is a list of one item.
    """
    checked = _validated(model, value)
    if isinstance(checked, list) and _use_texts(tree, value, [_place(model, error) for error in checked]):
        checked = _validated(model, value)
    if isinstance(checked, list) and _use_lists(value, model, checked):
        checked = _validated(model, value)
    if not isinstance(checked, list):
        return checked
    for error in checked:
        place = _place(model, error)
        if not tree.has_problem_within(place):
            sentence = _sentence(tree, model, value, error)
            tree.add_problem(place, sentence if sentence.endswith("?") else f"{sentence}.")
    return None


def _validated(model: type[ModelT], value: dict[str, Any]) -> ModelT | list[ErrorDetails]:
    try:
        # As JSON, because strict validation accepts a list for a tuple only in JSON.
        return model.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        return error.errors(include_url=False, include_input=False)


def _place(model: type[BaseModel], error: ErrorDetails) -> Place:
    """The place of an error in the file. It corrects pydantic's place in two cases of a discriminated union: pydantic
    inserts the discriminator's value, which is not a key of the file, and it reports a wrong discriminator at the
    section instead of at its key."""
    place: Place = tuple(error["loc"])
    discriminator = _discriminator(model, place)
    if discriminator is None:
        return place
    if error["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return (place[0], discriminator)
    return (place[0], *place[2:])


def _discriminator(model: type[BaseModel], place: Place) -> str | None:
    """The discriminator of the top-level field of a place. None if the field is not a discriminated union."""
    field = model.model_fields.get(str(place[0])) if place else None
    return field.discriminator if field and isinstance(field.discriminator, str) else None


def _use_texts(tree: Tree, value: dict[str, Any], refused: list[Place]) -> bool:
    """Put the texts of replaced variables into the refused places of `value`. Returns whether there were any."""
    places = [place for place in refused if place in tree.texts]
    for place in places:
        _value_at(value, place[:-1])[place[-1]] = tree.texts[place]
    return bool(places)


def _use_lists(value: dict[str, Any], model: type[BaseModel], errors: list[ErrorDetails]) -> bool:
    """Put single texts and numbers of `value` into lists where a list was expected. Returns whether there were any."""
    places = [_place(model, error) for error in errors if error["type"] == "tuple_type"]
    single = [place for place in places if type(_value_at(value, place)) in (str, int)]
    for place in single:
        _value_at(value, place[:-1])[place[-1]] = [_value_at(value, place)]
    return bool(single)


def _sentence(tree: Tree, model: type[BaseModel], value: dict[str, Any], error: ErrorDetails) -> str:
    place = _place(model, error)
    name, message = path_text(place), error["msg"].removeprefix("Value error, ").rstrip(".")
    if error["type"] == "union_tag_not_found":
        return f"{name!r} is missing"
    if error["type"] == "missing":
        return f"{name!r} is missing{_needed_by(model, error)}"
    if error["type"] == SHOWS_VALUE:
        return message if place not in tree.texts else f"{name!r}: the value of its variables is not valid"
    # The value of a variable, or one that is written into the wrong key of a section with secrets, can be a secret.
    is_shown = place not in tree.texts and not {"security", "storage"} & set(place)
    return f"{name!r}: {_reason(error, message, _value_at(value, place), is_shown=is_shown)}"


def _needed_by(model: type[BaseModel], error: ErrorDetails) -> str:
    """The end of a sentence about a missing key: the member of a discriminated union that needs it, or empty."""
    discriminator = _discriminator(model, tuple(error["loc"]))
    return f": {discriminator} {error['loc'][1]!r} needs it" if discriminator and len(error["loc"]) > 1 else ""


def _reason(error: ErrorDetails, message: str, value: object, *, is_shown: bool) -> str:
    kind, context = error["type"], error.get("ctx", {})
    expected = _expected(kind, context)
    if expected is not None:
        found = _FOUND.get(type(value), "nothing")
        if is_shown and kind != "string_type":  # a field for text can be a secret itself
            found = _shown(value) or found
        if kind == "string_type" and isinstance(value, (int, float)):
            form = "put it in quotes"
        else:
            form = _form(kind, str(value), context) if isinstance(value, (str, int)) else _EXAMPLES.get(kind, "")
        return f"should be {expected}, found {found}{form and f'; {form}'}"
    match kind:
        case "greater_than_equal":
            return f"should be at least {context['ge']}"
        case "less_than_equal":
            return f"should be at most {context['le']}"
        case "too_short" | "string_too_short":
            return "should not be empty"
        case "extra_forbidden":
            return "unknown key"
        case _:
            return message


def _shown(value: object) -> str:
    """A wrong value in words. Empty for a list, a mapping and nothing."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    return f"text {value!r}" if isinstance(value, str) else ""


def _form(kind: str, text: str, context: Mapping[str, Any]) -> str:
    """How to write a wrong value; empty if nothing is known."""
    plain = text.strip().lower()
    if kind == "int_type" and plain.isdecimal() and plain.isascii():
        return f"write it without quotes: {plain}"
    if kind == "bool_type" and plain in _TRUE | _FALSE:
        return f"write it as {'true' if plain in _TRUE else 'false'}, without quotes"
    choices = re.findall(r"'([^']*)'", f"{context.get('expected', '')} {context.get('expected_tags', '')}")
    near = difflib.get_close_matches(text, choices, n=1)
    return f"did you mean {near[0]!r}?" if near else _EXAMPLES.get(kind, "")


def _expected(kind: str, context: Mapping[str, Any]) -> str | None:
    if kind == "literal_error":
        return str(context["expected"])
    if kind == "union_tag_invalid":  # pydantic's own message contains the value, which can be a secret
        return " or ".join(str(context["expected_tags"]).rsplit(", ", 1))
    return _EXPECTED.get(kind)


def _value_at(value: Any, place: Place) -> Any:
    for part in place:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value
