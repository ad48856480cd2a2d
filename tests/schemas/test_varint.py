"""Numbers encoded many at once are the same bytes as one by one."""

from hypothesis import given
from hypothesis import strategies as st

from keytrail.schemas.varint import zigzag, zigzags


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_many_are_as_one_by_one(numbers: list[int]) -> None:
    assert zigzags(numbers) == [zigzag(number) for number in numbers]
