"""Where a partition is gone on with: behind all that is known to be processed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keytrail.stream.worker.position import Position, start


@pytest.mark.parametrize(
    ("committed", "kept", "expected"),
    [
        (None, None, 0),
        (7, None, 7),
        (None, Position("t", 9), 9),
        (5, Position("t", 9), 9),
        (12, Position("t", 9), 12),
        (5, Position("an earlier topic", 9), 5),
        (None, Position("an earlier topic", 9), 0),
    ],
)
def test_the_larger_counts_of_the_same_topic(
    committed: int | None, kept: Position | None, expected: int
) -> None:
    assert start(committed, kept, "t") == expected


@given(st.text(), st.integers(0, 2**62))
def test_it_is_read_back_as_it_was_packed(topic_id: str, offset: int) -> None:
    assert Position.unpack(Position(topic_id, offset).pack()) == Position(topic_id, offset)
