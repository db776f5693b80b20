"""The base class for the settings of the backends.

One class per backend is the `storage` section of a YAML file, the parsed `--storage` URL, the fields of a Prefect block
and the location in messages. The classes are in `<backend>/settings.py`; `registry.py` lists them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import SplitResult

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator

from tasks.model.setting_fields import checked_by
from tasks.model.waiting import CONNECT_TIMEOUT_MS
from tasks.store.keys import check_key
from tasks.store.text_values import check_text


def _without_outer_slashes(text: str) -> str:
    return text.strip("/")


def _check_key_or_empty(text: str) -> None:
    if text:
        check_key(text)


Prefix = Annotated[str, AfterValidator(_without_outer_slashes), checked_by(_check_key_or_empty)]
"""The folder in which all keys of the repository are: an object key without slashes at its ends, or empty."""


RequiredText = Annotated[str, Field(min_length=1)]
"""Text that must be present and not empty."""


def without_control_characters(*names: str) -> Any:
    """A validator for these fields of a backend, which runs first. It is also for blocks, which no file contains. Its
    message does not show the value."""

    def check(value: object) -> object:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if isinstance(text, str):
            check_text(text)
        return value

    return field_validator(*names, mode="before")(check)


class StoreSettings(BaseModel, ABC):
    """Where a store is and with which credentials it is opened. Frozen; no secret is in its repr.

    Validation is strict: text is not converted to numbers, and a field that the backend does not have is an error.
    A subclass has `without_control_characters` for all its texts (pydantic allows none on `backend`, so that `*` is not
    possible). It imports no SDK, because settings are read by commands that open no store.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)

    url_scheme: ClassVar[str]
    """The scheme of the backend's `--storage` URLs, in lower case."""

    url_example: ClassVar[str]
    """A `--storage` URL to show in messages."""

    block_type: ClassVar[str | None] = None
    """The slug of the backend's Prefect block. None: the backend has no block, and no message recommends it."""

    backend: str
    """The backend's name in YAML files; a subclass makes it a `Literal` with that default."""

    @classmethod
    def backend_name(cls) -> str:
        """The value of `backend` in YAML files."""
        return str(cls.model_fields["backend"].default)

    @classmethod
    @abstractmethod
    def from_url(cls, parts: SplitResult) -> Self:
        """The settings of a URL that has the backend's scheme.

        Raises `ConfigError` for a URL of another form, without showing the URL, because it may contain a secret;
        raises pydantic's `ValidationError` for a wrong field.
        """

    @property
    @abstractmethod
    def location(self) -> str:
        """The store as a URL without secrets, for messages. `location` of the opened store is the same text."""

    @property
    def address(self) -> str:
        """What is waited for while the store does not answer, without secrets."""
        return self.location

    @property
    def first_answer_ms(self) -> int:
        """How long the store may take to give its first answer."""
        return CONNECT_TIMEOUT_MS

    def shown_section(self) -> dict[str, object]:
        """The `storage` section that means the same, to show to people: only keys that differ from their defaults, and
        `${SECRET_KEY}` in place of the value of `secret_key`."""
        fields = type(self).model_fields
        values = {name: getattr(self, name) for name in fields}
        return {
            name: f"${{{name.upper()}}}" if isinstance(value, SecretStr) else value
            for name, value in values.items()
            if name == "backend" or value != fields[name].default
        }
