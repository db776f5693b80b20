"""Field types that the sections of YAML files share, the bounds of `connect_timeout_ms`, and the text of a failed
validation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from tasks.model.errors import ConfigError

SHOWS_VALUE: Final = "shows_value"
"""The error type of a check whose message contains the value. The reader of a file replaces the message when the value
came from an environment variable, because such a value can be a secret."""


def checked_by(check: Callable[[str], object]) -> AfterValidator:
    """A field validator for text. `check` has to raise `ConfigError` for wrong text; its message can contain the
    text."""

    def validate(text: str) -> str:
        try:
            check(text)
        except ConfigError as error:
            raise PydanticCustomError(SHOWS_VALUE, "{sentence}", {"sentence": str(error)}) from None
        return text

    return AfterValidator(validate)


def none_if_empty(value: object) -> object:
    """Empty text counts as absent, because `${VARIABLE:-}` gives empty text when the variable is not set."""
    return None if value == "" else value


ConnectTimeoutMs = Annotated[int, Field(ge=1_000, le=600_000)]
"""How long to wait for the first answer of a cluster or a store, in ms. The blocks have the same bounds."""

OptionalText = Annotated[str | None, BeforeValidator(none_if_empty)]
"""Text that can be absent or empty: see `none_if_empty`."""

OptionalSecret = Annotated[SecretStr | None, BeforeValidator(none_if_empty)]
"""The same for a secret, which no repr, message or log shows."""


def validation_problems(error: ValidationError) -> str:
    """The problems of a failed validation in one line, each with its field. No secret is in it."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    lists = {one["loc"][:-1] for one in problems}
    # pydantic does not count wrong items, so a list of wrong items is also too short for it.
    problems = [one for one in problems if one["type"] != "too_short" or one["loc"] not in lists]
    return "; ".join(sorted({f"{'.'.join(map(str, one['loc']))} {_message(one)}".strip() for one in problems}))


def _message(error: ErrorDetails) -> str:
    match error["type"]:
        case "missing":
            return "is missing"
        case "string_too_short" | "too_short":
            return "should not be empty"
        case _:
            return error["msg"].removeprefix("Value error, ").rstrip(".")
