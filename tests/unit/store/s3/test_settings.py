"""The settings of a bucket: what is refused, and that no text shows a secret."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from tasks.model.setting_fields import validation_problems
from tasks.store.s3.settings import S3Settings

SECRET = "geheim"
KEY = "Z2VoZWltISEhISEhISEhISEhISEhISEhISEhISEhISE="


def _problems(**fields: Any) -> str:
    with pytest.raises(ValidationError) as refused:
        S3Settings(**fields)
    return validation_problems(refused.value)


def test_no_text_of_the_settings_shows_a_secret() -> None:
    settings = S3Settings(bucket="b", access_key="AKIA", secret_key=SecretStr(SECRET), session_token=SecretStr(SECRET))

    texts = [repr(settings), str(settings), settings.model_dump_json(), settings.location, settings.bucket_location]

    assert "AKIA" in texts[0]
    assert [] == [text for text in (*texts, repr(settings.shown_section())) if SECRET in text]
    assert settings.secret_key == SecretStr(SECRET)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "bucket is missing"),
        ({"bucket": ""}, "bucket should not be empty"),
        ({"secret_key": SECRET}, "access_key and secret_key belong together: set both, or neither for ambient"),
        ({"access_key": "AKIA"}, "access_key and secret_key belong together"),
        ({"session_token": SECRET}, "session_token belongs to access_key and secret_key: set them too"),
        ({"endpoint": f"https://user:{SECRET}@host"}, "The endpoint should be a URL without user and password"),
        ({"endpoint": "http://minio:9000"}, "use https, or set allow_http: true"),
        ({"prefix": "a//b"}, "prefix 'a//b' is not a prefix"),
        ({"path_style": "yes"}, "path_style Input should be a valid boolean"),
        ({"sse": "rot13"}, "sse Input should be 'AES256', 'aws:kms' or 'aws:kms:dsse'"),
        ({"sse_kms_key_id": "k"}, "sse_kms_key_id belongs to sse: aws:kms or aws:kms:dsse"),
        ({"sse": "AES256", "sse_kms_key_id": "k"}, "sse_kms_key_id belongs to sse: aws:kms or aws:kms:dsse"),
        ({"sse_kms_context": {"a": "b"}}, "sse_kms_context belongs to sse: aws:kms or aws:kms:dsse"),
        ({"sse_customer_key": SECRET}, "sse_customer_key should be 32 random bytes in Base64"),
        ({"sse_customer_key": KEY, "sse": "AES256"}, "sse_customer_key replaces sse: remove one of them"),
        ({"sse_customer_key": KEY, "allow_http": True}, "S3 takes it only over TLS: remove allow_http"),
        ({"storage_class": "GLACIER"}, "GLACIER is an archive: a run could not read what it wrote"),
        ({"tags": {str(number): "x" for number in range(11)}}, "tags Dictionary should have at most 10 items"),
        ({"expected_bucket_owner": "me"}, "expected_bucket_owner should be the id of an account: 12 digits in quotes"),
        ({"profile": "p", "access_key": "a", "secret_key": SECRET}, "profile and access_key are both credentials"),
        ({"external_id": "x"}, "external_id belongs to role_arn: set it too"),
        ({"web_identity_token_file": "f"}, "web_identity_token_file belongs to role_arn: set it too"),
        ({"role_arn": "r", "web_identity_token_file": "f", "profile": "p"}, "replaces access_key and profile: remove"),
        (
            {"role_arn": "r", "web_identity_token_file": "f", "external_id": "x"},
            "external_id cannot be used with web_i",
        ),
        ({"endpoint": "https://minio", "use_fips_endpoint": True}, "choose an endpoint: remove endpoint"),
        ({"object_lock_mode": "compliance"}, "object_lock_mode and object_lock_for belong together: set both or neit"),
        ({"object_lock_for": "30d"}, "object_lock_mode and object_lock_for belong together: set both or neither"),
        ({"object_lock_mode": "legal", "object_lock_for": "30d"}, "Input should be 'compliance' or 'governance'"),
        ({"object_lock_mode": "compliance", "object_lock_for": "30"}, "should be a duration: a number and one of s"),
        ({"connect_timeout_ms": 999}, "connect_timeout_ms Input should be greater than or equal to 1000"),
        ({"path": SECRET}, "path Extra inputs are not permitted"),
    ],
)
def test_wrong_settings_are_refused_in_one_line_without_a_secret(fields: dict[str, object], expected: str) -> None:
    problems = _problems(**({"bucket": "b"} | fields if fields else {}))

    assert expected in problems
    assert SECRET not in problems
    assert 1 == len(problems.splitlines())


def test_empty_text_of_an_unset_variable_counts_as_absent() -> None:
    texts = [name for name, field in S3Settings.model_fields.items() if field.default is None]

    assert "expected_bucket_owner" in texts
    for absent in ("", None):
        assert S3Settings(bucket="b") == S3Settings.model_validate({"bucket": "b", **dict.fromkeys(texts, absent)})


def test_slashes_around_the_prefix_change_nothing() -> None:
    assert S3Settings(bucket="b", prefix="team/kafka") == S3Settings(bucket="b", prefix="/team/kafka/")
    assert ("s3://b/team/kafka", "s3://b") == (
        S3Settings(bucket="b", prefix="team/kafka/").location,
        S3Settings(bucket="b", prefix="/").location,
    )


def test_messages_about_the_bucket_name_its_endpoint() -> None:
    assert "s3://b" == S3Settings(bucket="b", prefix="team").bucket_location
    assert "s3://b at https://minio" == S3Settings(bucket="b", endpoint="https://minio").bucket_location


@pytest.mark.parametrize(
    "name", ["bucket", "prefix", "region", "endpoint", "access_key", "secret_key", "session_token"]
)
@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("\n", "ends with a line break: remove it"),
        ("\r", "ends with a line break: remove it"),
        ("\r\n", "ends with a line break: remove it"),
        ("\x00x", "contains the control character U+0000: remove it"),
        ("\x7fx", "contains the control character U+007F: remove it"),
    ],
)
def test_no_value_has_a_control_character_and_the_message_does_not_show_it(name: str, end: str, expected: str) -> None:
    whole = {"bucket": "b", "access_key": "AKIA", "secret_key": "s", "session_token": "t"}

    problems = _problems(**{**whole, name: f"{SECRET}{end}"})

    assert f"{name} {expected}" == problems
