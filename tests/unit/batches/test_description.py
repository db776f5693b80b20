"""The description of batches by their headers: of a frame at once, and of a segment frame by frame."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.batches.description import BatchesDescription, SegmentDescription, describe_batches
from tasks.batches.header import CODECS, CONTROL_BIT, LENGTH_END, LOG_APPEND_TIME_BIT, BatchHeader


def _header(
    base: int, *, length: int = 100, epoch: int = 0, bits: int = 0, delta: int = 4, stamp: int = 7, count: int = 5
) -> BatchHeader:
    return BatchHeader(base, length, epoch, 2, 0, bits, delta, -1, stamp, -1, -1, -1, count)


HEADERS = st.lists(
    st.builds(
        _header,
        st.integers(0, 99),
        length=st.integers(49, 300),
        epoch=st.integers(0, 3),
        bits=st.sampled_from([0, 1, 4, LOG_APPEND_TIME_BIT, LOG_APPEND_TIME_BIT | 2, CONTROL_BIT, 0x10, -0x8000]),
        delta=st.integers(0, 9),
        stamp=st.integers(-1, 99),
        count=st.sampled_from([0, 5]),
    ),
    max_size=12,
)


def test_no_batches_have_no_properties() -> None:
    nothing = describe_batches([])
    assert BatchesDescription((), frozenset(), 0, 0, True, None, None) == nothing
    segment = SegmentDescription()
    segment.add(nothing)
    assert ([], 0, (), None) == (segment.epochs, segment.largest_batch_bytes, segment.codecs, segment.timestamp_type)


@settings(deadline=None, derandomize=True, max_examples=150)
@given(HEADERS)
def test_each_property_is_that_of_its_definition(headers: list[BatchHeader]) -> None:
    described = describe_batches(headers)
    data = [header for header in headers if header.record_count and not header.is_control]
    assert all(header.is_dense for header in headers) == described.is_dense
    assert max((header.size_bytes for header in headers), default=0) == described.largest_batch_bytes
    assert sum(header.size_bytes for header in headers if header.attributes & 7) == described.compressed_bytes
    assert max((header.max_timestamp for header in data), default=None) == described.max_ts
    assert min((header.max_timestamp for header in data), default=None) == described.oldest_ts
    assert {header.attributes for header in data} == described.attributes
    expected = [
        (header.leader_epoch, header.base_offset)
        for before, header in zip([None, *headers], headers, strict=False)
        if before is None or before.leader_epoch != header.leader_epoch
    ]
    assert expected == list(described.epochs)


@settings(deadline=None, derandomize=True, max_examples=150)
@given(HEADERS, st.lists(st.integers(0, 12), max_size=3))
def test_a_segment_is_the_same_however_its_batches_are_divided_into_frames(
    headers: list[BatchHeader], cuts: list[int]
) -> None:
    whole, divided = SegmentDescription(), SegmentDescription()
    whole.add(describe_batches(headers))
    bounds = [0, *sorted(cuts), len(headers)]
    for first, end in pairwise(bounds):
        divided.add(describe_batches(headers[first:end]))
    assert whole == divided


def test_codecs_and_timestamp_types_have_names() -> None:
    segment = SegmentDescription()
    segment.add(describe_batches([_header(0, bits=number) for number in range(len(CODECS))]))
    assert (tuple(sorted(CODECS)), "CreateTime") == (segment.codecs, segment.timestamp_type)
    segment.add(describe_batches([_header(9, bits=LOG_APPEND_TIME_BIT)]))
    assert "mixed" == segment.timestamp_type
    only = SegmentDescription()
    only.add(describe_batches([_header(0, bits=LOG_APPEND_TIME_BIT)]))
    assert "LogAppendTime" == only.timestamp_type


def test_control_batches_and_empty_batches_have_no_codec_and_no_timestamp() -> None:
    described = describe_batches([_header(0, bits=CONTROL_BIT | 1), _header(5, bits=2, count=0)])
    assert (frozenset(), None, None) == (described.attributes, described.max_ts, described.oldest_ts)
    assert 2 * (100 + LENGTH_END) == described.compressed_bytes
