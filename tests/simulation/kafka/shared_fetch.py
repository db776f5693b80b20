"""`LogReader.first_answers` of a simulated cluster: what leaders answer to fetches of many partitions.

Source: KAFKA.md §4 and Kafka's ReplicaManager.java (`readFromLog`). A leader fills its answer in the order of the
request. Only its first data can be larger than a limit: a whole batch. Everything after the limits is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from tasks.broker.log_values import Fetched, FetchPosition
from tasks.model.errors import AccessError, BrokerError, BrokerUnavailableError
from tasks.model.partition import Partition
from tests.simulation.kafka.calls import Client
from tests.simulation.kafka.faults import AnswerLost
from tests.simulation.kafka.fetching import read_partition


def first_answers(client: Client, positions: Sequence[FetchPosition]) -> dict[Partition, Fetched]:
    """See `LogReader.first_answers`. Any partition can be absent besides, as often as the cluster says
    (`omitted_answers`)."""
    subject = ", ".join(str(position.partition) for position in positions)
    answers: dict[Partition, Fetched] = {}
    try:
        client.intercept("reader.first_answers", subject, has_happened=False)
        with client.kafka.lock:
            client.kafka.brokers.require_one()
            for own in _by_leader(client, positions).values():
                answers.update(_answer_of_leader(client, own))
        client.intercept("reader.first_answers", subject, has_happened=True)
    except (AnswerLost, BrokerUnavailableError):
        return {}
    return {partition: fetched for partition, fetched in answers.items() if not client.kafka.omits_answer()}


def _by_leader(client: Client, positions: Sequence[FetchPosition]) -> dict[int | None, list[FetchPosition]]:
    found: dict[int | None, list[FetchPosition]] = defaultdict(list)
    for position in positions:
        try:
            found[client.leader_of(position.partition).leader].append(position)
        except (BrokerError, AccessError):
            continue
    return found


def _answer_of_leader(client: Client, positions: Sequence[FetchPosition]) -> dict[Partition, Fetched]:
    """The partitions with data in one answer. A throttled answer has none."""
    answers = {fetched.partition: fetched for fetched in _filled(client, positions)}
    kafka = client.kafka
    size_bytes = sum(len(fetched.records) for fetched in answers.values())
    throttle_ms = kafka.fetch_quota.throttle_ms(size_bytes, kafka.clock.now_ms())
    kafka.clock.advance(throttle_ms)
    return {} if throttle_ms else answers


def _filled(client: Client, positions: Sequence[FetchPosition]) -> Iterator[Fetched]:
    left_bytes = sum(position.max_bytes for position in positions)
    is_first = True
    for position in positions:
        limit = min(position.max_bytes, left_bytes)
        try:
            fetched = read_partition(client, position._replace(max_bytes=limit))
        except (BrokerError, AccessError):
            continue
        if fetched.records and (is_first or len(fetched.records) <= limit):
            yield fetched
            left_bytes = max(0, left_bytes - len(fetched.records))
            is_first = False
