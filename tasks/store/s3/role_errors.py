"""The error of `tasks.model.errors` for each error response of AWS STS to a request for the credentials of a role.

boto3 sends this request before the request to the store, so nothing was sent to the store, and the right that is
missing is not one of S3:

    Throttling, 429, 5xx, the identity provider did not answer: unavailable · ValidationError: a wrong `role_arn` ·
    RegionDisabledException, no code: configuration · others: the role is refused
"""

from __future__ import annotations

from typing import Any

from tasks.model.errors import AccessError, ConfigError, KafkaBackupError, StoreUnavailableError
from tasks.store.request import printable
from tasks.store.s3.error_responses import CREDENTIALS, NOT_CARRIED_OUT, Request

_UNAVAILABLE = NOT_CARRIED_OUT | {"IDPCommunicationError"}
_INVALID = frozenset({"ValidationError", "ValidationException", "InvalidParameterValue", "MalformedPolicyDocument"})
_WRONG_CREDENTIALS = {
    **CREDENTIALS,
    "InvalidClientTokenId": "STS does not know this access key: check the credentials",
    "InvalidIdentityToken": "STS does not accept the token in the file: check its issuer and its audience",
    "IDPRejectedClaim": "the identity provider does not accept the token in the file: renew it",
    "RequestExpired": "this machine's clock differs from the clock of STS by many minutes: correct the clock",
}
"""The codes for wrong credentials, and the text for each in messages."""


def is_for_role(operation: str) -> bool:
    """Whether an operation of boto3 asks for the credentials of a role."""
    return operation.startswith("AssumeRole")


def role_error(response: Any, operation: str, request: Request) -> KafkaBackupError:
    """The error for an error response to `operation`, which `is_for_role`. Pure. `response` is `ClientError.response`
    of boto3; `request` is the request to the store that was not sent."""
    details, status = response.get("Error", {}), int(response["ResponseMetadata"]["HTTPStatusCode"])
    code, message = str(details.get("Code", "")), printable(str(details.get("Message", "")))
    arn = request.settings.role_arn
    failure = f"{request.place}: no credentials of the role {arn or 'of the profile'}"
    if code in _UNAVAILABLE or status == 429 or status >= 500:
        return StoreUnavailableError(f"{failure}: STS answers {code or status}", key=request.key)
    if code in _WRONG_CREDENTIALS:
        return AccessError(f"{failure}: {_WRONG_CREDENTIALS[code]}.")
    if code in _INVALID:
        return ConfigError(f"{failure}: correct `role_arn` and `external_id`. STS answers {code}: {message}")
    if code == "RegionDisabledException":
        return ConfigError(f"{failure}: STS is disabled in this region: activate it in the account, or set `region`.")
    if not code or code.isdigit():
        return ConfigError(f"{failure}: the endpoint of STS does not speak its protocol. Check AWS_ENDPOINT_URL_STS.")
    answer = f" STS answers {code}: {message}" if message else f" STS answers {code}."
    return AccessError(
        f"{failure}: access denied. The credentials need sts:{operation} for this role, and its trust policy has to "
        f"allow them.{answer}"
    )
