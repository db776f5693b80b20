"""Settings of the backend `filesystem`: a folder. Makes paths absolute."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import SplitResult, unquote

from pydantic import AfterValidator

from tasks.model.errors import ConfigError
from tasks.store.settings import Prefix, RequiredText, StoreSettings, without_control_characters


def folder_path(text: str, *, base: Path) -> str:
    """The absolute path for a path in a file or on the command line. `~` at its start is the home folder. A relative
    path begins at `base`.

    Raises `ConfigError` if the home folder is not known.
    """
    try:
        return str(base.absolute() / Path(text).expanduser())
    except RuntimeError:
        raise ConfigError("the home folder at its start is not known: write an absolute path") from None


def _check_absolute(text: str) -> str:
    """Raises `ValueError` for a relative path, because processes in different folders would use different places."""
    if not Path(text).is_absolute():
        raise ValueError("should be an absolute path, such as /backups/kafka")
    return text


class LocalSettings(StoreSettings):
    """A repository in the folder `prefix` inside the folder `path`; with an empty `prefix`, in `path` itself. `path`
    has to be absolute: see `folder_path`."""

    url_scheme: ClassVar[str] = "file"
    url_example: ClassVar[str] = "file:///absolute/path"
    block_type: ClassVar[str | None] = "local-repository"

    backend: Literal["filesystem"] = "filesystem"
    path: Annotated[RequiredText, AfterValidator(_check_absolute)]
    prefix: Prefix = ""

    _no_control_characters = without_control_characters("path", "prefix")

    @classmethod
    def from_url(cls, parts: SplitResult) -> Self:
        """The settings for `file:///absolute/path` with percent-encoding. `prefix` is empty. Raises `ConfigError` for
        any other form."""
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
