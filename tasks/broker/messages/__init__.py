"""The bytes of Kafka's protocol: encodes requests and decodes answers. No sockets and no retries.

`wire` has kafka-python's codecs and SASL mechanisms, and is the only module that imports kafka-python. Four modules are
codecs of this program: `fetch_answer`, `produce_answer` and `produce_request`, because kafka-python copies record
batches and its objects cost CPU time, and `described_groups`, because kafka-python does not have these requests.
`fetch_request` fills in the Fetch request. `api_keys`, `request_names`, `isolation` and `topic_ids` name the protocol's
numbers and ids.

Promises: functions of bytes and values. Record batches are copied at most once. Bytes that are not a valid answer raise
an exception; in the codecs of this program it is `DamagedError`.

Must never: open a connection, interpret an error code, or read the records inside a batch.
"""
