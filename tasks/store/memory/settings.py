"""Settings of the backend `memory`: objects that end with the process."""

from __future__ import annotations

from typing import ClassVar, Literal, Self
from urllib.parse import SplitResult

from tasks.model.errors import ConfigError
from tasks.store.settings import Prefix, StoreSettings, without_control_characters


class MemorySettings(StoreSettings):
    """A memory store. All that open the same `path` and `prefix` in one process share its objects."""

    url_scheme: ClassVar[str] = "memory"
    url_example: ClassVar[str] = "memory://demo"

    backend: Literal["memory"] = "memory"
    path: str = "memory"
    prefix: Prefix = ""

    _no_control_characters = without_control_characters("path", "prefix")

    @classmethod
    def from_url(cls, parts: SplitResult) -> Self:
        """`memory://name`; `prefix` is empty."""
        if not parts.netloc or parts.path not in ("", "/") or parts.query or parts.fragment:
            raise ConfigError(f"A memory URL is memory:// and one name, as in {cls.url_example}.")
        return cls(path=parts.netloc)

    @property
    def name(self) -> str:
        """The name under which the process shares the store."""
        return f"{self.path}/{self.prefix}" if self.prefix else self.path

    @property
    def location(self) -> str:
        return f"memory://{self.name}"
