"""Translates every exception of boto3 into an error of `tasks.model.errors`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError

from tasks.store.s3.boto3_errors import FOREIGN, boto3_error
from tasks.store.s3.error_responses import Request, response_error
from tasks.store.s3.role_errors import is_for_role, role_error


@contextmanager
def translated(request: Request, *, has_answered: bool) -> Iterator[None]:
    """Turns an exception of boto3 in the body into an error of `tasks.model.errors`. `has_answered`: see
    `response_error`."""
    try:
        yield
    except ClientError as error:
        if is_for_role(error.operation_name):
            raise role_error(error.response, error.operation_name, request) from error
        raise response_error(error.response, request, has_answered=has_answered) from error
    except FOREIGN as error:
        raise boto3_error(error, request, has_answered=has_answered) from error
