"""The parameters that the settings add to every request that has them: nothing is sent here, the requests are only
built."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import md5, sha256
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest

from tasks.model.errors import KafkaBackupError
from tasks.store.s3.bucket_rules import S3BucketRules
from tasks.store.s3.s3_archive import S3Archive
from tasks.store.s3.s3_store import S3Store
from tasks.store.s3.settings import S3Settings
from tests.support.ambient_aws import no_ambient_aws

KEY = bytes(range(32))
OWNER = "123456789012"
FIXED = {"bucket": "backups", "region": "eu-west-1", "access_key": "AKIA", "secret_key": "s"}


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    with no_ambient_aws():
        yield


class _Sent(Exception):
    """Ends a request before it is sent."""


@contextmanager
def _recorded(client: Any) -> Iterator[list[AWSPreparedRequest]]:
    found: list[AWSPreparedRequest] = []

    def record(request: AWSPreparedRequest, **_: object) -> None:
        found.append(request)
        raise _Sent

    client.meta.events.register("before-send.s3", record)
    yield found
    client.meta.events.unregister("before-send.s3", record)


def _header(request: AWSPreparedRequest, name: str) -> str | None:
    value = request.headers.get(name)
    return value.decode() if isinstance(value, bytes) else value


def _requests_of(**changes: Any) -> dict[str, AWSPreparedRequest]:
    """One request of each kind that a store, its lifecycle rules and its archive send, by the name of the call."""
    settings = S3Settings.model_validate({**FIXED, **changes})
    store = S3Store(settings, is_data=lambda key: key.startswith("data/"))
    rules, archive = S3BucketRules(settings), S3Archive(settings)
    calls: dict[str, Callable[[], object]] = {
        "put_if_absent": lambda: store.put_if_absent("data/a", [b"x"], sha256=sha256(b"x").hexdigest()),
        "put": lambda: store.put("heads/a", [b"x"]),
        "compare_and_swap": lambda: store.compare_and_swap("heads/a", [b"x"], expected='"1"'),
        "get": lambda: store.get("data/a"),
        "get_range": lambda: store.get_range("data/a", 0, 1),
        "head": lambda: store.head("data/a"),
        "list": lambda: next(iter(store.list("data/"))),
        "list_folders": lambda: store.list_folders(""),
        "delete": lambda: store.delete(["data/a"]),
        "rules": rules.read,
        "bring_back": lambda: archive.bring_back("data/a", days=1, tier="Standard"),
    }
    clients = {"rules": rules._requests.client, "bring_back": archive._requests.client}
    sent = {}
    for name, call in calls.items():
        with _recorded(clients.get(name, store._requests.client)) as found, pytest.raises((_Sent, KafkaBackupError)):
            call()
        sent[name] = found[0]
    return sent


def test_the_expected_owner_is_in_every_request() -> None:
    sent = _requests_of(expected_bucket_owner=OWNER)

    assert dict.fromkeys(sent, OWNER) == {
        name: _header(one, "x-amz-expected-bucket-owner") for name, one in sent.items()
    }


def test_the_requester_pays_for_every_request_for_objects() -> None:
    sent = _requests_of(requester_pays=True)

    paid = {name for name, one in sent.items() if _header(one, "x-amz-request-payer") == "requester"}
    assert sent.keys() - {"rules"} == paid


@pytest.mark.parametrize(("days", "is_sent"), [(7, True), (None, False)])
def test_a_request_for_an_archived_object_has_days_only_if_they_are_given(days: int | None, is_sent: bool) -> None:
    """S3 refuses them for objects of INTELLIGENT_TIERING, and needs them for all others."""
    archive = S3Archive(S3Settings.model_validate(FIXED))
    with _recorded(archive._requests.client) as found, pytest.raises((_Sent, KafkaBackupError)):
        archive.bring_back("data/a", days=days, tier="Bulk")
    body = bytes(found[0].body or b"")
    assert (is_sent, True) == (b"<Days>7</Days>" in body, b"<Tier>Bulk</Tier>" in body)
    assert is_sent or b"Days" not in body


def test_the_customers_key_is_in_every_request_that_reads_or_writes_an_object() -> None:
    sent = _requests_of(sse_customer_key=b64encode(KEY).decode())

    name = "x-amz-server-side-encryption-customer-"
    keyed = {call: one for call, one in sent.items() if _header(one, f"{name}algorithm") == "AES256"}
    assert {"put_if_absent", "put", "compare_and_swap", "get", "get_range", "head"} == keyed.keys()
    assert {KEY} == {b64decode(_header(one, f"{name}key") or "") for one in keyed.values()}
    assert {md5(KEY).digest()} == {b64decode(_header(one, f"{name}key-MD5") or "") for one in keyed.values()}


def test_data_objects_alone_have_the_storage_class_and_every_object_the_tags() -> None:
    sent = _requests_of(storage_class="STANDARD_IA", tags={"team": "data & events", "cost": "7"})

    writes = ("put_if_absent", "put", "compare_and_swap")
    assert ["STANDARD_IA", None, None] == [_header(sent[name], "x-amz-storage-class") for name in writes]
    assert {"team=data+%26+events&cost=7"} == {_header(sent[name], "x-amz-tagging") for name in writes}


def test_the_context_of_a_kms_key_is_sent_with_each_write() -> None:
    sent = _requests_of(sse="aws:kms", sse_kms_context={"set": "orders"})

    found = _header(sent["put"], "x-amz-server-side-encryption-context")
    assert b'{"set": "orders"}' == b64decode(found or "")


@pytest.mark.parametrize(
    ("option", "host"),
    [
        ("use_fips_endpoint", "backups.s3-fips.eu-west-1.amazonaws.com"),
        ("use_dualstack_endpoint", "backups.s3.dualstack.eu-west-1.amazonaws.com"),
    ],
)
def test_other_endpoints_of_amazon_are_used(option: str, host: str) -> None:
    assert f"https://{host}/heads/a" == str(_requests_of(**{option: True})["put"].url)


def test_without_these_settings_a_request_has_none_of_their_headers() -> None:
    sent = _requests_of()

    names = {name.lower() for one in sent.values() for name in one.headers}
    extra = ("x-amz-expected-bucket-owner", "x-amz-request-payer", "x-amz-storage-class", "x-amz-tagging")
    assert [] == [name for name in names if name in extra or "encryption" in name]
