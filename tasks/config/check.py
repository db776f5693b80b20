"""Validation of what was sifted. Its errors become sentences that name the place and the kinds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tasks.config.yaml_tree import Place, Tree, path_text

ModelT = TypeVar("ModelT", bound=BaseModel)

SHOWS_VALUE: Final = "shows_value"
"""The error type of validators whose sentences show what was written. What came from a variable may be a secret."""

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
"""What pydantic's errors of type wanted."""

_FOUND: Mapping[type, str] = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a mapping",
}


def check(tree: Tree, model: type[ModelT], value: dict[str, Any]) -> ModelT | None:
    """The model, or None after its problems were added to the tree.

    Strict: a number in quotes is text, and `yes` is no number. Where variables were replaced the field decides: their
    text serves when what YAML makes of it does not.
    """
    checked = _validated(model, value)
    if isinstance(checked, list) and _use_texts(tree, value, checked):
        checked = _validated(model, value)
    if not isinstance(checked, list):
        return checked
    for error in checked:
        place: Place = tuple(error["loc"])
        if not tree.is_bad(place):
            tree.complain(place, f"{_sentence(tree, value, place, error)}.")
    return None


def _validated(model: type[ModelT], value: dict[str, Any]) -> ModelT | list[ErrorDetails]:
    try:
        # As JSON, because a strict tuple can be a list only there.
        return model.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        return error.errors(include_url=False, include_input=False)


def _use_texts(tree: Tree, value: dict[str, Any], errors: list[ErrorDetails]) -> bool:
    """Put the texts of replaced variables where what YAML makes of them was refused; whether there were any."""
    places = [place for place in (tuple(error["loc"]) for error in errors) if place in tree.texts]
    for place in places:
        _at(value, place[:-1])[place[-1]] = tree.texts[place]
    return bool(places)


def _sentence(tree: Tree, value: dict[str, Any], place: Place, error: ErrorDetails) -> str:
    name, message = path_text(place), error["msg"].removeprefix("Value error, ").rstrip(".")
    if error["type"] == "missing":
        return f"{name!r} is missing"
    if error["type"] == SHOWS_VALUE:
        return message if place not in tree.texts else f"{name!r}: what its variables make does not serve here"
    return f"{name!r}: {_trouble(error, message, _at(value, place))}"


def _trouble(error: ErrorDetails, message: str, value: object) -> str:
    kind, context = error["type"], error.get("ctx", {})
    expected = context["expected"] if kind == "literal_error" else _EXPECTED.get(kind)
    if expected is not None:
        found = _FOUND.get(type(value), "nothing")
        hint = "; put it in quotes" if kind == "string_type" and isinstance(value, (int, float)) else ""
        return f"should be {expected}, found {found}{hint}"
    match kind:
        case "greater_than_equal":
            return f"should be at least {context['ge']}"
        case "less_than_equal":
            return f"should be at most {context['le']}"
        case "too_short" | "string_too_short":
            return "should not be empty"
        case _:
            return message


def _at(value: Any, place: Place) -> Any:
    for part in place:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value
