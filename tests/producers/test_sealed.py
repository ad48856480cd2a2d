from hypothesis import given
from hypothesis import strategies as st

from keytrail.producers.datum import quick_zigzag
from keytrail.producers.sealed import Sealed, frame, framed_text, text_frame, unframed
from keytrail.schemas.varint import zigzag

sealed = st.builds(
    Sealed,
    sequence=st.integers(0, (1 << 64) - 1),
    recorded_at=st.integers(-(1 << 63), (1 << 63) - 1),
    key=st.binary(max_size=50),
    datum=st.binary(max_size=200),
    signature=st.none() | st.binary(min_size=1, max_size=90),
)


@given(st.lists(sealed, max_size=5))
def test_frames_give_back_what_was_framed(many: list[Sealed]) -> None:
    data = b"".join(map(frame, many))
    found = list(unframed(data))
    assert [each for each, _ in found] == many
    assert [end for _, end in found][-1:] == [len(data)][: len(many)]


@given(st.lists(sealed, min_size=1, max_size=4), st.data())
def test_a_torn_end_is_left_out(many: list[Sealed], data: st.DataObject) -> None:
    frames = list(map(frame, many))
    size = data.draw(st.integers(0, len(frames[-1]) - 1))
    found = [each for each, _ in unframed(b"".join(frames[:-1]) + frames[-1][:size])]
    assert found == many[:-1]


@given(st.lists(sealed, min_size=1, max_size=4), st.data())
def test_what_is_damaged_is_left_out_with_what_is_behind_it(many: list[Sealed], data: st.DataObject) -> None:
    whole = b"".join(map(frame, many))
    at, bit = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 7))
    damaged = whole[:at] + bytes((whole[at] ^ 1 << bit,)) + whole[at + 1 :]
    found = [each for each, _ in unframed(damaged)]
    assert found == many[: len(found)]
    assert len(found) < len(many)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.binary())
def test_a_text_with_which_a_file_begins(text: str, more: bytes) -> None:
    framed = text_frame(text)
    assert framed_text(framed + more) == (text, len(framed))
    assert framed_text(framed[:-1]) is None


@given(st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(0, 1 << 57) | st.integers(0, 1 << 21))
def test_numbers_are_written_quickly_as_they_are_written_otherwise(number: int) -> None:
    assert quick_zigzag(number) == zigzag(number)
