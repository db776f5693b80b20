"""The base class for the settings of the backends, and their common rules for text fields.

Each backend has one class, which validates the `storage` section of a YAML file, a `--storage` URL and the fields of a
Prefect block, and makes the location for messages. The classes are in `<backend>/settings.py`; `registry.py` lists
them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import SplitResult

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator

from tasks.model.control_characters import control_character_problems
from tasks.model.errors import ConfigError
from tasks.model.setting_fields import checked_by
from tasks.model.waiting import CONNECT_TIMEOUT_MS
from tasks.store.keys import is_key


def _without_outer_slashes(text: str) -> str:
    return text.strip("/")


def _check_key_or_empty(text: str) -> None:
    if text and not is_key(text):
        raise ConfigError(
            f"{text!r} is not a prefix. A prefix names folders inside the store, for example backups/production: write "
            "letters, digits and ._- with single slashes between them, and no name that begins with a dot"
        )


Prefix = Annotated[str, AfterValidator(_without_outer_slashes), checked_by(_check_key_or_empty)]
"""The folder that contains all keys of the repository: an object key, or empty. Slashes at both ends are removed."""


RequiredText = Annotated[str, Field(min_length=1)]
"""A text that is required and not empty."""


def overlap_problem(own: tuple[str, str], mutable: tuple[str, str]) -> str | None:
    """The problem of two places (bucket, prefix) of one store that contain the same keys, or None."""
    if own[0] != mutable[0]:
        return None
    one, other = (f"{prefix}/" if prefix else "" for _, prefix in (own, mutable))
    if one.startswith(other) or other.startswith(one):
        return "the place for mutable objects contains the other one, or is inside it: choose another bucket or prefix"
    return None


def without_control_characters(*names: str) -> Any:
    """A validator that refuses control characters in these fields, before other validators run. A field is a text, or
    contains texts. YAML files are checked before, but blocks are not in files. Its message does not contain the
    value."""

    def check(value: object) -> object:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        for problem in control_character_problems(text):
            raise ValueError(f"{problem.strip()}: remove it")
        return value

    return field_validator(*names, mode="before")(check)


class StoreSettings(BaseModel, ABC):
    """The place of a store and the credentials to open it. Frozen. Its repr and its errors do not show secrets.

    Validation is strict: text is not converted to numbers, and a field that the backend does not have is an error. Each
    subclass uses `without_control_characters` for all its text fields by name (`*` is not possible, because pydantic
    allows no such validator on `backend`). A subclass imports no SDK, because commands that open no store also read
    settings.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)

    url_scheme: ClassVar[str]
    """The scheme of the backend's `--storage` URLs, in lower case."""

    similar_schemes: ClassVar[frozenset[str]] = frozenset()
    """The schemes that other programs use for URLs of the same stores. The message for them shows `url_example`."""

    url_example: ClassVar[str]
    """A `--storage` URL to show in messages."""

    block_type: ClassVar[str | None] = None
    """The slug of the backend's Prefect block. None if the backend has no block; then messages do not recommend it."""

    backend: str
    """The backend's name in YAML files. A subclass declares it as a `Literal` with this name as the default."""

    @classmethod
    def backend_name(cls) -> str:
        """The value of `backend` in YAML files."""
        return str(cls.model_fields["backend"].default)

    @classmethod
    @abstractmethod
    def from_url(cls, parts: SplitResult) -> Self:
        """The settings for a URL with the backend's scheme.

        Raises `ConfigError` for a URL of another form, and pydantic's `ValidationError` for a wrong field. The messages
        do not contain the URL, because it can contain a secret.
        """

    @property
    @abstractmethod
    def location(self) -> str:
        """The store as a URL without secrets, for messages. `location` of the opened store is the same text."""

    @property
    def address(self) -> str:
        """The store in reports of a wait for its answer. Without secrets."""
        return self.location

    @property
    def lock_mode(self) -> str | None:
        """How the store locks immutable objects, in its own words. None if it locks nothing."""
        return None

    @property
    def lock_ms(self) -> int | None:
        """For how many milliseconds the store locks immutable objects. None if it locks nothing."""
        return None

    def mutable_settings(self) -> Self | None:
        """The settings of the place for objects that are overwritten or deleted early. None if they are in the same
        place as all others."""
        return None

    @property
    def is_single_writer(self) -> bool:
        """Whether the settings state that only one machine ever writes to the store at a time. Then writes need no
        conditions of the store: see `ObjectStore.is_single_writer`."""
        return False

    @property
    def first_answer_ms(self) -> int:
        """The longest time in milliseconds to wait for the store's first answer."""
        return CONNECT_TIMEOUT_MS

    def shown_section(self) -> dict[str, object]:
        """The `storage` section of these settings for messages and reports: `backend`, and the keys whose values are
        not the defaults. Secrets are replaced by variables, for example `${SECRET_KEY}` for `secret_key`."""
        fields = type(self).model_fields
        values = {name: getattr(self, name) for name in fields}
        return {
            name: f"${{{name.upper()}}}" if isinstance(value, SecretStr) else value
            for name, value in values.items()
            if name == "backend" or value != fields[name].default
        }
