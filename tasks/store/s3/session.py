"""Makes the boto3 session of a store: whose credentials it uses, and how they are renewed. Refuses control characters
in credentials."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    AssumeRoleWithWebIdentityCredentialFetcher,
    CachedCredentialFetcher,
    Credentials,
    DeferredRefreshableCredentials,
)
from botocore.session import Session
from botocore.utils import FileWebIdentityTokenLoader

from tasks.model.control_characters import control_character_problem
from tasks.model.errors import AccessError, ConfigError
from tasks.store.s3.settings import S3Settings

_SESSION_NAME = "kafka-backup"
"""The name of the sessions of a role, which the log of the account shows."""


def open_session(settings: S3Settings) -> boto3.session.Session:
    """The session for the settings. Sends no request to the store. Without `access_key`, boto3 looks for credentials
    here, and can wait for the machine's metadata service. The credentials of a role are requested when they are first
    used, and again before they end.

    Raises `ConfigError` for a control character in a variable `AWS_…` or in the credentials of a profile,
    `AccessError` if there are no credentials to obtain those of `role_arn`, and the errors of botocore for an unknown
    profile.
    """
    _check_environment(os.environ)
    session = boto3.session.Session(
        **_fixed_credentials(settings), region_name=settings.region, profile_name=settings.profile
    )
    if settings.web_identity_token_file is None:
        _check_credentials(session.get_credentials())
    if settings.role_arn is not None:
        _take_role(session, settings)
    return session


def _check_environment(environment: Mapping[str, str]) -> None:
    """Raises `ConfigError` if a variable `AWS_…` contains a control character. Without this check, a line break in a
    key would make an invalid header, and the request would fail like one whose connection was cut."""
    for name, value in environment.items():
        problem = control_character_problem(value) if name.startswith("AWS_") else None
        if problem is not None:
            raise ConfigError(f"The environment variable {name} {problem}: remove it.")


def _fixed_credentials(settings: S3Settings) -> dict[str, str | None]:
    """The credentials of the settings. Empty if they have none: then boto3 takes them from the environment, a profile
    or a role."""
    if settings.access_key is None or settings.secret_key is None:
        return {}
    token = settings.session_token
    return {
        "aws_access_key_id": settings.access_key,
        "aws_secret_access_key": settings.secret_key.get_secret_value(),
        "aws_session_token": token.get_secret_value() if token else None,
    }


def _check_credentials(credentials: Any) -> None:
    """Raises `ConfigError` if credentials of the environment or of a profile contain a control character, because a
    header cannot contain it. Credentials of a role are not checked, because that would need a request."""
    if type(credentials) is not Credentials:
        return
    named = {"access key": credentials.access_key, "secret key": credentials.secret_key}
    for name, value in {**named, "session token": credentials.token}.items():
        if value and (problem := control_character_problem(value)):
            raise ConfigError(f"The {name} of S3 in the environment or the profile {problem}: remove it.")


def _take_role(session: boto3.session.Session, settings: S3Settings) -> None:
    """From now on the session has the temporary credentials of `role_arn`."""
    inner: Any = session._session  # boto3 has no public way to give a session credentials that are renewed
    fetcher = _web_identity(inner, settings) if settings.web_identity_token_file else _assumed_role(inner, settings)
    inner._credentials = DeferredRefreshableCredentials(method="assume-role", refresh_using=fetcher.fetch_credentials)


def _assumed_role(inner: Session, settings: S3Settings) -> CachedCredentialFetcher:
    source = inner.get_credentials()
    if source is None:
        raise AccessError(
            f"There are no credentials to obtain those of the role {settings.role_arn}: set access_key and secret_key, "
            "profile or web_identity_token_file, or give the machine a role."
        )
    more = {"RoleSessionName": _SESSION_NAME}
    if settings.external_id is not None:
        more["ExternalId"] = settings.external_id
    return AssumeRoleCredentialFetcher(
        client_creator=inner.create_client, source_credentials=source, role_arn=settings.role_arn, extra_args=more
    )


def _web_identity(inner: Session, settings: S3Settings) -> CachedCredentialFetcher:
    return AssumeRoleWithWebIdentityCredentialFetcher(
        client_creator=inner.create_client,
        web_identity_token_loader=FileWebIdentityTokenLoader(settings.web_identity_token_file),
        role_arn=settings.role_arn,
        extra_args={"RoleSessionName": _SESSION_NAME},
    )
