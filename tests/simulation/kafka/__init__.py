"""A Kafka cluster in memory, behind the ports of `tasks/broker/ports.py`.

A test holds a `SimulatedKafka`. It changes the cluster through that object (topics, records, transactions, cleaning,
elections, brokers, groups, permissions) and gives `kafka.access()`, a `ClusterAccess`, to the engine.

It promises the observable behaviour of Kafka 4.3.1, or of 3.9.1 with `version="3.9.1"`, as `tests/contract` states it
for both a real and this cluster: real record batches as bytes, offsets, leader epochs, aborted lists, error classes.
The same calls in the same order give the same bytes and the same topic ids. Nothing sleeps: a wait moves `kafka.clock`.

Every port call and every produced batch passes `kafka.interceptor` (`faults.py`) before it happens and afterwards.

It does not model: connections, encryption and authentication; the contents of internal topics; rack-aware fetching
(`preferred_replica` is always -1); tiered storage; message formats before magic 2; brokers that disagree about
metadata, except for `hide_topic`; expiry of group positions; quotas on producing. Retention, cleaning and the expiry of
producer ids happen when the test calls for them, never in the background.
"""

from tests.simulation.kafka.cluster import SimulatedKafka

__all__ = ["SimulatedKafka"]
