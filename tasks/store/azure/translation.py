"""Translates every exception of the SDK into an error of `tasks.model.errors`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree

from azure.core.exceptions import HttpResponseError

from tasks.store.azure.error_responses import Request, Response, response_error
from tasks.store.azure.sdk_errors import FOREIGN, sdk_error


@contextmanager
def translated(request: Request, *, has_answered: bool) -> Iterator[None]:
    """Turns an exception of the SDK in the body into an error of `tasks.model.errors`. `has_answered`: see
    `response_error`. A traceback of the new error does not contain the exception of the SDK if that can contain a
    signature."""
    try:
        yield
    except HttpResponseError as error:
        response = error_response(error)
        if response is None:
            raise sdk_error(error, request, has_answered=has_answered) from error
        problem = response_error(response, request, has_answered=has_answered)
        # Azure explains a refusal in AuthenticationErrorDetail, which can contain a signature.
        raise problem from (None if response.status in (401, 403) or response.detail else error)
    except FOREIGN as error:
        raise sdk_error(error, request, has_answered=has_answered) from error


def error_response(error: HttpResponseError) -> Response | None:
    """The error response that caused the exception. None if there was no response, or if it was no error and could not
    be read."""
    if error.response is None or error.status_code is None or error.status_code < 300:
        return None
    response: Any = error.response
    named = getattr(error, "error_code", None)
    code = str(getattr(named, "value", named) or response.headers.get("x-ms-error-code") or _code_in_body(response))
    details = getattr(error, "additional_info", None) or {}
    return Response(
        status=error.status_code,
        code=code,
        message=error.message or "",
        detail=str(details.get("authenticationerrordetail", "")),
        date=response.headers.get("Date", ""),
    )


def _code_in_body(response: Any) -> str:
    """The code in the XML of an error response. Empty if it is not the XML of Azure. The SDK reads it too, but not for
    every status."""
    try:
        root = ElementTree.fromstring(response.text())
    except Exception:  # whatever the body is
        return ""
    return (root.findtext("Code") or "") if root.tag == "Error" else ""
