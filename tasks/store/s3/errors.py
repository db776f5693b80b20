"""Where every exception of boto3 ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError

from tasks.store.s3.answers import Asked, refusal
from tasks.store.s3.failures import FOREIGN, failure


@contextmanager
def translated(asked: Asked, *, has_answered: bool) -> Iterator[None]:
    """Turn an exception of boto3 in the body into one of ours. `has_answered`: see `refusal`."""
    try:
        yield
    except ClientError as error:
        raise refusal(error.response, asked, has_answered=has_answered) from error
    except FOREIGN as error:
        raise failure(error, asked, has_answered=has_answered) from error
