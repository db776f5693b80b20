"""Field types of settings, and the text of a failed validation."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from tasks.model.errors import ConfigError
from tasks.model.setting_fields import SHOWS_VALUE, OptionalSecret, OptionalText, checked_by, validation_problems


def _check_lower(text: str) -> None:
    if text != text.lower():
        raise ConfigError(f"{text!r} has capitals.")


class Fields(BaseModel):
    name: Annotated[str, checked_by(_check_lower)] = "a"
    number: int = 0
    text: OptionalText = None
    secret: OptionalSecret = None


def test_empty_text_and_an_empty_secret_count_as_absent() -> None:
    assert Fields() == Fields.model_validate({"text": "", "secret": ""})
    assert SecretStr("s") == Fields.model_validate({"secret": "s"}).secret


def test_a_refused_text_has_an_error_type_of_its_own_because_its_message_contains_the_text() -> None:
    with pytest.raises(ValidationError) as refused:
        Fields(name="Ab")
    [error] = refused.value.errors()
    assert (SHOWS_VALUE, "'Ab' has capitals.") == (error["type"], error["msg"])
    assert "ab" == Fields(name="ab").name


def test_all_problems_are_in_one_line_each_with_its_field_and_without_a_secret() -> None:
    with pytest.raises(ValidationError) as refused:
        Fields.model_validate({"name": "Ab", "number": "geheim", "secret": ["geheim"]})
    problems = validation_problems(refused.value)
    assert problems.startswith("name 'Ab' has capitals; number Input should be a valid integer")
    assert "; secret Input should be a valid string" in problems
    assert "geheim" not in problems
