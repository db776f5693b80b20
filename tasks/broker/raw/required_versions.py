"""The requests that every backup or restore needs, their versions, and the error for a broker without one of them: too
old, or a controller's listener."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.messages.fetch_request import FETCH_VERSIONS
from tasks.broker.messages.produce_request import PRODUCE_VERSION
from tasks.model.errors import ConfigError, UnsupportedError

METADATA_VERSIONS = (10, 12)
"""The first version that contains topic ids, and the newest one that this program knows."""

LIST_OFFSETS_VERSIONS = (2, 7)
INIT_PRODUCER_ID_VERSIONS = (0, 4)

_READING: Mapping[ApiKey, tuple[int, int]] = {
    ApiKey.METADATA: METADATA_VERSIONS,
    ApiKey.LIST_OFFSETS: LIST_OFFSETS_VERSIONS,
    ApiKey.FETCH: FETCH_VERSIONS,
}
_WRITING: Mapping[ApiKey, tuple[int, int]] = {
    ApiKey.PRODUCE: (PRODUCE_VERSION, PRODUCE_VERSION),
    ApiKey.INIT_PRODUCER_ID: INIT_PRODUCER_ID_VERSIONS,
}

_OLDEST_KAFKA = "2.8"
"""The first Kafka with Metadata version 10. Kafka 2.8 also has the lowest version of all other requests above."""

_FIRST_KAFKA: Mapping[tuple[ApiKey, int], str] = {(ApiKey.LIST_OFFSETS, 7): "3.0"}
"""The first Kafka with a version of a request, for versions that `_OLDEST_KAFKA` does not have."""

_CONTROLLER_REQUESTS = frozenset({52, 62, 63})
"""The numbers of Vote, BrokerRegistration and BrokerHeartbeat. Only controllers support these requests (KIP-500)."""


def check_versions(pick: Callable[[int, int, int], int], *, is_writing: bool) -> None:
    """Call `pick` (`Connection.pick`) for each request that reading needs, and with `is_writing` also for those that
    writing needs. Raises its `UnsupportedError` if the broker does not support one."""
    needed = {**_READING, **(_WRITING if is_writing else {})}
    for api_key, (lowest, highest) in needed.items():
        pick(api_key, lowest, highest)


def version_error(
    where: str, api_key: ApiKey, lowest: int, highest: int, supported: Mapping[int, tuple[int, int]]
) -> ConfigError:
    """The error for a broker that does not support a request in any version from `lowest` to `highest`.

    `supported` are the lowest and the highest version of each request that the broker supports. The error is a
    `ConfigError` for a controller's listener, and otherwise an `UnsupportedError`.
    """
    if ApiKey.METADATA not in supported and not _CONTROLLER_REQUESTS.isdisjoint(supported):
        return ConfigError(f"{where} is a controller's listener. Use the address of a broker's listener.")
    name, found = api_key.request_name, supported.get(api_key)
    wanted = f"version {lowest}" if lowest == highest else f"a version from {lowest} to {highest}"
    if found is not None and found[0] > highest:
        return UnsupportedError(
            f"Broker {where} supports versions {found[0]} to {found[1]} of the request {name}, but this program needs "
            f"{wanted}. Use a newer version of this program."
        )
    has = f"supports versions {found[0]} to {found[1]} of it" if found else "does not support it"
    oldest = _FIRST_KAFKA.get((api_key, lowest), _OLDEST_KAFKA)
    return UnsupportedError(
        f"This program needs {wanted} of the request {name}, but broker {where} {has}. "
        f"Use Kafka {oldest} or newer; if a proxy is in front of it, configure the proxy to pass this request."
    )
