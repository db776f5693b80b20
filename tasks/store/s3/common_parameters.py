"""The parameters that the settings add to every request of S3 that has them: the account of the bucket, who pays, and
the customer's key."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

from tasks.store.s3.settings import S3Settings


def common_parameters(settings: S3Settings) -> dict[str, Any]:
    """The parameters by their names in the S3 API. Empty if the settings ask for none."""
    found: dict[str, Any] = {}
    if settings.expected_bucket_owner is not None:
        found["ExpectedBucketOwner"] = settings.expected_bucket_owner
    if settings.requester_pays:
        found["RequestPayer"] = "requester"
    if settings.sse_customer_key is not None:
        found["SSECustomerAlgorithm"] = "AES256"
        # boto3 encodes the key, and adds its MD5.
        found["SSECustomerKey"] = b64decode(settings.sse_customer_key.get_secret_value())
    return found


def add_common_parameters(client: Any, settings: S3Settings) -> None:
    """Make the client add them to each of its requests. An operation that does not have a parameter is sent without
    it."""
    common = common_parameters(settings)
    if not common:
        return

    def add(params: dict[str, Any], model: Any, **_: object) -> None:
        known = model.input_shape.members
        params.update({name: value for name, value in common.items() if name in known})

    client.meta.events.register("provide-client-params.s3", add)
