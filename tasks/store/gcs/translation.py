"""Translates every exception of Google's libraries into an error of `tasks.model.errors`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from google.api_core.exceptions import GoogleAPICallError

from tasks.store.gcs.error_responses import Request, Response, response_error
from tasks.store.gcs.sdk_errors import FOREIGN, sdk_error


@contextmanager
def translated(request: Request, *, has_answered: bool) -> Iterator[None]:
    """Turns an exception of Google's libraries in the body into an error of `tasks.model.errors`. `has_answered`: see
    `response_error`."""
    try:
        yield
    except GoogleAPICallError as error:
        if error.code is None:
            raise sdk_error(error, request, has_answered=has_answered) from error
        raise response_error(error_response(error), request, has_answered=has_answered) from error
    except FOREIGN as error:
        raise sdk_error(error, request, has_answered=has_answered) from error


def error_response(error: GoogleAPICallError) -> Response:
    """The error response that caused the exception, which has to have a status."""
    first = next((one for one in error.errors if isinstance(one, dict)), {})
    reason, message = str(first.get("reason") or ""), str(first.get("message") or "")
    return Response(status=int(error.code or 0), reason=reason, message=message)
