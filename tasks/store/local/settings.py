"""Settings of the backend `filesystem`: a folder."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, Self
from urllib.parse import SplitResult, unquote

from tasks.model.errors import ConfigError
from tasks.store.settings import Prefix, RequiredText, StoreSettings


class LocalSettings(StoreSettings):
    """The folder `prefix` (empty: the folder itself) of the folder `path`."""

    url_scheme: ClassVar[str] = "file"
    url_example: ClassVar[str] = "file:///absolute/path"
    block_type: ClassVar[str | None] = "local-repository"

    backend: Literal["filesystem"] = "filesystem"
    path: RequiredText
    prefix: Prefix = ""

    @classmethod
    def from_url(cls, parts: SplitResult) -> Self:
        """`file:///absolute/path`, percent-encoded; `prefix` is empty. Raises `ConfigError` for any other form."""
        if parts.query or parts.fragment:
            raise ConfigError("A file URL cannot contain ? or #. Write them as %3F and %23.")
        if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
            raise ConfigError(f"A file URL needs three slashes and an absolute path, as in {cls.url_example}.")
        return cls(path=unquote(parts.path))

    @property
    def folder(self) -> Path:
        """The folder that contains the repository, as an absolute path."""
        return (Path(self.path) / self.prefix).absolute()

    @property
    def location(self) -> str:
        return self.folder.as_uri()
