"""The bytes of Kafka's protocol: requests in, answers out. No sockets and no retries.

`wire` has kafka-python's codecs and SASL mechanisms, and is the only module that imports kafka-python. The answers to
Fetch and Produce and the Produce request have codecs of our own (`fetch_answer`, `produce_answer`, `produce_request`),
because kafka-python copies record batches and its objects cost CPU time. `api_keys`, `isolation` and `topic_ids` name
the protocol's numbers and ids.

Promises: functions of bytes and values. Record batches are copied at most once. Bytes that are not a valid answer raise
an exception; in the codecs of our own it is `DamagedError`.

Must never: open a connection, interpret an error code, or read the records inside a batch.
"""
