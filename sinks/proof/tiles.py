"""Tiles: a log's leaves in pieces of up to 256, with what finds the one record that differs.

A tile ends where its aligned 256 leaves or its checkpoint end.  Its nodes lead up to the signed root; its
offsets and tags are signed by nobody, and only help to name a place where the nodes have told a difference.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from keytrail.sinks.proof.merkle import HASH_BYTES, Node, range_nodes

TILE_LEAVES = 256
Offsets = npt.NDArray[np.int64]
Tags = npt.NDArray[np.uint32]
TAG_BYTES, SHORT_TAG_BYTES = 4, 2


@dataclass(frozen=True)
class Tile:
    """`size` is that of the checkpoint that it was made for; `nodes` are those of its leaves.

    Of older tiles only the first two bytes of each tag are known: the others are 0.
    """

    size: int
    first_leaf: int
    offsets: Offsets
    tags: Tags
    nodes: tuple[Node, ...]
    tag_bytes: int = TAG_BYTES

    @property
    def end_leaf(self) -> int:
        return self.first_leaf + len(self.offsets)

    @property
    def tag_masks(self) -> Tags:
        """What of each tag is known."""
        known = (1 << 32) - (1 << 8 * (TAG_BYTES - self.tag_bytes))
        return np.full(len(self.tags), known, dtype=np.uint32)

    def marks(self) -> Iterator[tuple[int, bytes]]:
        """Each offset, and how the hash of its leaf begins."""
        for offset, tag in zip(self.offsets.tolist(), self.tags.tolist(), strict=False):
            yield offset, tag.to_bytes(TAG_BYTES, "big")[: self.tag_bytes]


def tags_of(hashes: bytes) -> Tags:
    """The first four bytes of each leaf's hash."""
    return np.frombuffer(hashes, dtype=">u4")[:: HASH_BYTES // TAG_BYTES].astype(np.uint32)


def cut(size: int, first_leaf: int, offsets: Offsets, hashes: bytes) -> Iterator[Tile]:
    """The leaves from `first_leaf` on, which are the last ones before `size`, as tiles."""
    at = 0
    while at < len(offsets):
        first = first_leaf + at
        end = min(len(offsets), at + TILE_LEAVES - first % TILE_LEAVES)
        piece = hashes[at * HASH_BYTES : end * HASH_BYTES]
        yield Tile(size, first, offsets[at:end], tags_of(piece), tuple(range_nodes(first, piece)))
        at = end


def nodes_of(first_leaf: int, count: int, hashes: bytes) -> tuple[Node, ...]:
    """The nodes of so many leaves from their joined hashes.  Raises `ValueError`: it is another number."""
    nodes: list[Node] = []
    first, end = first_leaf, first_leaf + count
    for at in range(0, len(hashes), HASH_BYTES):
        level = _largest(first, end)
        nodes.append(Node(level, first >> level, hashes[at : at + HASH_BYTES]))
        first += 1 << level
    if first != end:
        raise ValueError(f"the nodes are those of {first - first_leaf} leaves, not of {count}")
    return tuple(nodes)


def _largest(first: int, end: int) -> int:
    """The level of the largest aligned subtree that begins at `first` and ends within."""
    if first >= end:
        raise ValueError("there are too many nodes")
    level = (end - first).bit_length() - 1
    return min(level, (first & -first).bit_length() - 1) if first else level


def pack(tile: Tile) -> bytes:
    """Size, first leaf, offsets, tags, the rest of the tags and nodes in ClickHouse's RowBinary."""
    count = _count(len(tile.tags))
    return b"".join(
        (
            struct.pack("<qq", tile.size, tile.first_leaf),
            _count(len(tile.offsets)),
            tile.offsets.astype("<i8").tobytes(),
            count,
            (tile.tags >> 16).astype("<u2").tobytes(),
            count,
            tile.tags.astype("<u2").tobytes(),
            _count(len(tile.nodes)),
            *(node.hash for node in tile.nodes),
        )
    )


def unpack(data: bytes, at: int) -> tuple[Tile, int]:
    """The tile that begins at `at`, and where it ends.

    Raises `ValueError` for nodes that are not a tile's, `IndexError` or `struct.error` where it is cut off.
    """
    size, first_leaf = struct.unpack_from("<qq", data, at)
    count, at = _read_count(data, at + 16)
    offsets, at = data[at : at + 8 * count], at + 8 * count
    tags, at = _read_tags(data, at)
    more, at = _read_tags(data, at)
    noded, at = _read_count(data, at)
    end = at + HASH_BYTES * noded
    if end > len(data):
        raise IndexError("it is cut off")
    whole = len(more) == len(tags)
    return (
        Tile(
            size,
            first_leaf,
            np.frombuffer(offsets, dtype="<i8").astype(np.int64),
            np.bitwise_or(tags << np.uint32(16), more if whole else np.uint32(0)),
            nodes_of(first_leaf, count, data[at:end]),
            TAG_BYTES if whole else SHORT_TAG_BYTES,
        ),
        end,
    )


def _read_tags(data: bytes, at: int) -> tuple[Tags, int]:
    count, at = _read_count(data, at)
    end = at + SHORT_TAG_BYTES * count
    if end > len(data):
        raise IndexError("it is cut off")
    return np.frombuffer(data[at:end], dtype="<u2").astype(np.uint32), end


def _count(number: int) -> bytes:
    """LEB128, of which two bytes are enough."""
    return bytes((number,)) if number < 0x80 else bytes((number & 0x7F | 0x80, number >> 7))


def _read_count(data: bytes, at: int) -> tuple[int, int]:
    number, shift = 0, 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
