"""The YAML files as models: options as the engine has them, and where and as whom."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from tasks.broker.auth.security import UNPROTECTED, Security
from tasks.config.check import SHOWS_VALUE
from tasks.engine.options import BackupOptions, RestoreOptions, TopicSelection
from tasks.engine.topic_patterns import compile_pattern
from tasks.model.errors import ConfigError
from tasks.repository.points import PointReference
from tasks.store.keys import check_key
from tasks.store.s3.location import check_endpoint

_ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s@/,:\[\]]+):[0-9]{1,5}")


class Section(BaseModel):
    """A mapping of a file. Frozen; unknown keys are found before validation, with their lines."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def _passes(test: Callable[[str], object]) -> AfterValidator:
    """Text that a test of ours does not refuse with a `ConfigError`, whose sentence shows the text."""

    def validate(text: str) -> str:
        try:
            test(text)
        except ConfigError as error:
            raise PydanticCustomError(SHOWS_VALUE, "{sentence}", {"sentence": str(error)}) from None
        return text

    return AfterValidator(validate)


def _check_set(text: str) -> None:
    reference = PointReference.parse(text)
    if "@" in text:
        raise ConfigError(f"a backup makes a new point of set {reference.set_name!r}: leave '@…' out")


def _check_prefix(text: str) -> None:
    if inner := text.strip("/"):
        check_key(inner)


def _check_endpoint(endpoint: str, *, allow_http: bool) -> None:
    """Its sentence shows the endpoint only where that holds no password."""
    try:
        check_endpoint(endpoint, allow_http=allow_http)
    except ConfigError as error:
        raise ValueError(str(error)) from None


def _nothing_if_empty(value: object) -> object:
    """What an unset variable with an empty default leaves."""
    return None if value == "" else value


def _is_address(text: str) -> str:
    """The shape only, without the broker's modules. Its sentence shows no value: what stands in an address's place may
    be a URL with a password."""
    if not _ADDRESS.fullmatch(text) or not 0 < int(text.rpartition(":")[2]) < 65536:
        raise ValueError("should be one host:port")
    return text


def _all_acks(value: object) -> object:
    if value not in ("all", -1, "-1"):
        raise ValueError("only 'all' (or -1) is safe for a restore")
    return "all"


def _or_unprotected(value: object) -> object:
    """A section of which nothing was written."""
    return {} if value is None else value


def _from_the_start(value: object) -> object:
    if value != "earliest":
        raise ValueError("this version reads from the log start only ('earliest')")
    return value


def _only_counts(value: object) -> object:
    if value == "full":
        raise ValueError("'full' is not available yet: this version compares counts, bounds, first and last records")
    return value


Text = Annotated[str | None, BeforeValidator(_nothing_if_empty)]
Secret = Annotated[SecretStr | None, BeforeValidator(_nothing_if_empty)]
Pattern = Annotated[str, Field(min_length=1), _passes(compile_pattern)]
Reference = Annotated[str, _passes(PointReference.parse)]


class TopicsSection(TopicSelection):
    """The engine's selection, of patterns that have been tried."""

    include: tuple[Pattern, ...] = ()
    exclude: tuple[Pattern, ...] = ()


class ClusterSection(Section):
    """`source` or `target`."""

    bootstrap_servers: Annotated[tuple[Annotated[str, AfterValidator(_is_address)], ...], Field(min_length=1)]
    security: Annotated[Security, BeforeValidator(_or_unprotected)] = UNPROTECTED
    topics: TopicsSection = TopicsSection()


class StorageSection(Section):
    """Where the repository is. Each backend has keys of its own (`keys.STORAGE_KEYS`); those of others are refused."""

    backend: Literal["filesystem", "memory", "s3"]
    path: str | None = None
    prefix: Annotated[str, _passes(_check_prefix)] = ""
    bucket: Text = None
    region: Text = None
    endpoint: Text = None
    access_key: Text = None
    secret_key: Secret = None
    session_token: Secret = None
    path_style: bool = False
    allow_http: bool = False

    @model_validator(mode="after")
    def _is_consistent(self) -> StorageSection:
        if self.backend == "filesystem" and not self.path:
            raise ValueError("backend filesystem needs a path")
        if self.backend == "s3" and not self.bucket:
            raise ValueError("backend s3 needs a bucket")
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("access_key and secret_key belong together: set both, or neither for ambient credentials")
        if self.session_token is not None and self.access_key is None:
            raise ValueError("session_token belongs to access_key and secret_key: set them too")
        if self.endpoint is not None:
            _check_endpoint(self.endpoint, allow_http=self.allow_http)
        return self


class BackupSection(BackupOptions):
    """`backup`: the engine's options, and what is only said in files."""

    stop_at_current_offsets: bool = True
    start_offset: Annotated[str, BeforeValidator(_from_the_start)] = "earliest"


class RestoreSection(RestoreOptions):
    """`restore`: the engine's options, and what is only said in files."""

    produce_acks: Annotated[str, BeforeValidator(_all_acks)] = "all"
    verify: Annotated[Literal["counts"], BeforeValidator(_only_counts)] = "counts"


class BackupFile(Section):
    """backup.yaml"""

    mode: Literal["backup"]
    backup_id: Annotated[str, _passes(_check_set)]
    source: ClusterSection
    storage: StorageSection
    backup: BackupSection = BackupSection()


class RestoreFile(Section):
    """restore.yaml; `backup_id` may name a point: `set@17`."""

    mode: Literal["restore"]
    backup_id: Reference
    target: ClusterSection
    storage: StorageSection
    restore: RestoreSection = RestoreSection()


class RepositoryFile(Section):
    """What every file has: enough to read a repository."""

    mode: Literal["backup", "restore"] | None = None
    storage: StorageSection
    backup_id: Reference | None = None
