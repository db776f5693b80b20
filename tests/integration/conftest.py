"""What several files of this folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import KAFKA_VERSION
from tests.support.misleading_kafka import MisleadingKafka, misleading_kafka
from tests.support.secured_kafka import SecuredKafka, secured_kafka


@pytest.fixture(scope="session")
def secured() -> Iterator[SecuredKafka]:
    """One broker with every kind of listener, for all tests of the session."""
    with secured_kafka(KAFKA_VERSION) as secured:
        yield secured


@pytest.fixture(scope="session")
def misleading() -> Iterator[MisleadingKafka]:
    """One broker whose listeners advertise wrong addresses, for all tests of the session."""
    with misleading_kafka(KAFKA_VERSION) as misleading:
        yield misleading
