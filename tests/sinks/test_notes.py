"""Signed notes and checkpoints: the specification's example, round trips, and nothing altered passes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keytrail.sinks.proof.checkpoint import Checkpoint, Log
from keytrail.sinks.proof.note import NoteError, PrivateKey, PublicKey, open_note, sign

# The example of https://c2sp.org/signed-note
SPEC_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SPEC_NOTE = (
    "This is an example message.\n\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Z"
    "tg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
KEY = PrivateKey("keytrail", bytes(range(32)))
OTHER = PrivateKey("keytrail", bytes(32))

texts = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=60)
checkpoints = st.builds(
    Checkpoint,
    st.builds(Log, st.uuids().map(str), st.integers(0, 999)),
    st.integers(0, 2**60),
    st.binary(min_size=32, max_size=32),
    st.integers(0, 2**60),
    st.integers(0, 4_000_000_000_000_000),
)


def test_the_specification_s_note() -> None:
    key = PublicKey.of_text(SPEC_KEY)
    opened = open_note(SPEC_NOTE, [key])
    assert opened.text == "This is an example message.\n"
    assert opened.signed_by == (key,)
    assert key.text == SPEC_KEY
    with pytest.raises(NoteError, match="The signature of"):
        open_note(SPEC_NOTE.replace("example message", "exampel message"), [key])


@given(st.lists(texts, min_size=1, max_size=4))
def test_what_is_signed_is_opened(lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    note = sign(text, [KEY, OTHER])
    keys = [KEY.public, OTHER.public]
    assert open_note(note, keys).text == text
    assert open_note(note, keys).signed_by == tuple(keys)
    assert open_note(note, []).signed_by == ()
    assert PublicKey.of_text(KEY.public.text) == KEY.public


@given(checkpoints, st.data())
def test_no_byte_of_a_checkpoint_can_be_changed(checkpoint: Checkpoint, data: st.DataObject) -> None:
    note = sign(checkpoint.text, [KEY])
    assert Checkpoint.of_text(open_note(note, [KEY.public]).text) == checkpoint
    packed = bytearray(note.encode())
    bit = data.draw(st.integers(0, len(packed) * 8 - 1))
    packed[bit // 8] ^= 1 << bit % 8
    try:
        opened = open_note(packed.decode(errors="replace"), [KEY.public])
    except NoteError:
        return
    assert opened.signed_by == ()


@given(st.text(max_size=200))
def test_whatever_is_no_note_is_refused_in_words(text: str) -> None:
    for reading in (lambda: open_note(text, []), lambda: Checkpoint.of_text(text)):
        with pytest.raises(NoteError):
            reading()


@pytest.mark.parametrize("text", ["no newline", "", "a\n\nb\n", "bell\x07\n"])
def test_what_cannot_be_a_note_is_not_signed(text: str) -> None:
    with pytest.raises(NoteError):
        sign(text, [KEY])


@pytest.mark.parametrize("text", ["", "a+b", "keytrail+00000000+AAAA", SPEC_KEY.replace("530d", "530e")])
def test_what_is_no_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        PublicKey.of_text(text)


def test_a_secret_is_not_shown() -> None:
    assert KEY.seed.hex() not in repr(KEY)
    assert str(KEY.seed) not in repr(KEY)
