"""Settings of the backend `memory`, whose objects are lost at the end of the process."""

from __future__ import annotations

from typing import ClassVar, Literal, Self
from urllib.parse import SplitResult

from pydantic import Field

from tasks.model.errors import ConfigError
from tasks.store.settings import Prefix, StoreSettings, without_control_characters


class MemorySettings(StoreSettings):
    """A memory store. Stores with the same `path` and `prefix` in one process have the same objects."""

    url_scheme: ClassVar[str] = "memory"
    url_example: ClassVar[str] = "memory://demo"

    backend: Literal["memory"] = "memory"
    path: str = Field(
        "memory", description="Name of the store. Its objects are lost when the process ends: for trials only."
    )
    prefix: Prefix = Field("", description="A folder in the store. Empty: the whole store.")

    _no_control_characters = without_control_characters("path", "prefix")

    @classmethod
    def from_url(cls, parts: SplitResult) -> Self:
        """The settings for `memory://name`. `prefix` is empty. Raises `ConfigError` for any other form."""
        if not parts.netloc or parts.path not in ("", "/") or parts.query or parts.fragment:
            raise ConfigError(f"A memory URL is memory:// and one name, as in {cls.url_example}.")
        return cls(path=parts.netloc)

    @property
    def name(self) -> str:
        """The name of the store in this process."""
        return f"{self.path}/{self.prefix}" if self.prefix else self.path

    @property
    def location(self) -> str:
        return f"memory://{self.name}"
