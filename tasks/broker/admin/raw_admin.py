"""Administrative questions over the raw connection, with the patience of `Admin`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TypeVar

from tasks.broker.admin.admin import Admin
from tasks.broker.admin.client import done
from tasks.broker.raw.connection import BrokerAddress, Connection
from tasks.broker.translation import Action

T = TypeVar("T")


def call_every_broker(admin: Admin, action: Action, question: Callable[[Connection], T]) -> list[T]:
    """The answers of all brokers that are alive. When one is unavailable, all are looked up and asked again."""

    def ask_all() -> list[T]:
        return [_call(admin, address, question) for address in admin.node_addresses()]

    return admin.call(action, lambda: done(ask_all()))


def call_broker(admin: Admin, action: Action, question: Callable[[Connection], T]) -> T:
    """The answer of any one broker."""
    return admin.call(action, lambda: done(_call(admin, admin.node_addresses()[0], question)))


def _call(admin: Admin, address: tuple[str, int], question: Callable[[Connection], T]) -> T:
    with closing(Connection(BrokerAddress(*address), admin.connection)) as connection:
        return question(connection)
