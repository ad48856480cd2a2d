"""Content codings: what one side writes the other reads, in whatever pieces it comes."""

import gzip
import zlib
from importlib.util import find_spec

import lz4.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keytrail.deploy.embedded.gateway.coding import choose_coding, decoder, encoder
from keytrail.deploy.embedded.gateway.errors import EngineError

CODINGS = ["gzip", "deflate", "lz4", "zstd", *(["br"] if find_spec("brotli") else [])]


def decode(name: str, pieces: list[bytes]) -> bytes:
    reader = decoder(name)
    data = b"".join(part for piece in pieces for part in reader.feed(piece))
    reader.finish()
    return data


def encode(name: str, pieces: list[bytes]) -> bytes:
    writer = encoder(name)
    return b"".join([*(writer.feed(piece) for piece in pieces), writer.finish()])


@pytest.mark.parametrize("name", CODINGS)
@given(pieces=st.lists(st.binary(max_size=2000), max_size=8), cut=st.integers(1, 50))
def test_round_trip_in_pieces(name: str, pieces: list[bytes], cut: int) -> None:
    packed = encode(name, pieces)
    assert decode(name, [packed[at : at + cut] for at in range(0, len(packed), cut)]) == b"".join(pieces)


@pytest.mark.parametrize("name", [name for name in CODINGS if name != "br"])
def test_several_frames_in_a_row_are_one_body(name: str) -> None:
    assert decode(name, [encode(name, [b"a" * 5000]) + encode(name, [b"b"])]) == b"a" * 5000 + b"b"


@pytest.mark.parametrize("name", CODINGS)
def test_a_body_that_breaks_off_is_an_error(name: str) -> None:
    packed = encode(name, [bytes(range(256)) * 200])
    with pytest.raises(EngineError, match="ends in the middle"):
        decode(name, [packed[:-6]])


@pytest.mark.parametrize("name", CODINGS)
def test_other_data_is_an_error(name: str) -> None:
    with pytest.raises(EngineError, match=f"not {name}"):
        decode(name, [b"this was never compressed by anyone"])


def test_a_small_body_unfolds_piece_by_piece() -> None:
    packed = gzip.compress(bytes(50_000_000))
    sizes = [len(piece) for piece in decoder("gzip").feed(packed)]
    assert sum(sizes) == 50_000_000
    assert max(sizes) <= 1024 * 1024


def test_codings_of_the_usual_libraries_are_understood() -> None:
    data = b"some rows\n" * 1000
    assert decode("gzip", [gzip.compress(data)]) == data
    assert decode("deflate", [zlib.compress(data)]) == data
    assert decode("lz4", [lz4.frame.compress(data)]) == data
    assert gzip.decompress(encode("gzip", [data])) == data
    assert zlib.decompress(encode("deflate", [data])) == data
    assert lz4.frame.decompress(encode("lz4", [data])) == data


def test_an_unknown_coding_names_the_known_ones() -> None:
    with pytest.raises(EngineError, match="gzip") as caught:
        decoder("compress")
    assert caught.value.status == 415


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        ("", ""),
        ("identity", ""),
        ("gzip, deflate", "gzip"),
        ("lz4,zstd,gzip", "lz4"),
        ("gzip;q=0, deflate;q=0.5", "deflate"),
        ("lz4;q=0", ""),
    ],
)
def test_choice_of_a_coding(header: str, chosen: str) -> None:
    assert choose_coding(header) == chosen
