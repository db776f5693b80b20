"""Administrative requests over a raw connection, with the retries and the deadline of `Admin`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TypeVar

from tasks.broker.admin.admin import Admin
from tasks.broker.admin.admin_requests import completed_future
from tasks.broker.raw.connection import BrokerAddress, Connection
from tasks.broker.translation import Action

T = TypeVar("T")


def call_every_broker(admin: Admin, action: Action, request: Callable[[Connection], T]) -> list[T]:
    """The answers of all live brokers. If one of them is unavailable, all are looked up and called again."""

    def call_all() -> list[T]:
        return [_call(admin, address, request) for address in admin.node_addresses()]

    return admin.call(action, lambda: completed_future(call_all()))


def call_broker(admin: Admin, action: Action, request: Callable[[Connection], T]) -> T:
    """The answer of any one broker."""
    return admin.call(action, lambda: completed_future(_call(admin, admin.node_addresses()[0], request)))


def _call(admin: Admin, address: tuple[str, int], request: Callable[[Connection], T]) -> T:
    with closing(Connection(BrokerAddress(*address), admin.connection)) as connection:
        return request(connection)
