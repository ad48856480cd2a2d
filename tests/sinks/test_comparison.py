"""Differences by tiles, by whole hashes, and the keys that count: pure logic on made-up leaves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keytrail.sinks.proof.checkpoint import Checkpoint, Log
from keytrail.sinks.proof.comparison import (
    Difference,
    Kind,
    Reader,
    Run,
    by_marks,
    by_tiles,
    describe,
    leads_to,
    tiles_lead_to,
    with_moves,
)
from keytrail.sinks.proof.leaf import NORMAL, head
from keytrail.sinks.proof.merkle import HASH_BYTES, Edge, leaf_hash
from keytrail.sinks.proof.note import NoteError, PrivateKey, sign
from keytrail.sinks.proof.tiles import Tile, cut, pack, unpack
from keytrail.sinks.proof.trust import OVERLAP_US, Handover, Trust, TrustedKey, hand_over

PARTITION = 3


def _leaf(offset: int, content: int) -> bytes:
    return leaf_hash(head(NORMAL, PARTITION, offset) + content.to_bytes(8, "big"))


def _tiles(run: Run, size_before: int, steps: list[int]) -> list[Tile]:
    tiles: list[Tile] = []
    at = 0
    for step in [*steps, len(run)]:
        part = run.part(at, min(len(run), at + step))
        tiles += cut(size_before + at + len(part), size_before + at, part.offsets, part.hashes)
        at += len(part)
    return tiles


@st.composite
def _logs(draw: st.DrawFn) -> tuple[dict[int, int], list[Tile]]:
    """A log's contents by offset, with holes between them, and its tiles."""
    gaps = draw(st.lists(st.integers(1, 3), min_size=20, max_size=700))
    offsets = np.cumsum(gaps).tolist()
    contents = {offset: number for number, offset in enumerate(offsets)}
    run = Run.of({offset: _leaf(offset, content) for offset, content in contents.items()})
    return contents, _tiles(run, 0, draw(st.lists(st.integers(1, 300), max_size=4)))


@given(_logs(), st.data())
def test_each_change_is_named_and_nothing_else(
    log: tuple[dict[int, int], list[Tile]], data: st.DataObject
) -> None:
    contents, tiles = log
    touched = data.draw(st.lists(st.sampled_from(sorted(contents)), min_size=1, max_size=6, unique=True))
    leaves = {offset: _leaf(offset, content) for offset, content in contents.items()}
    run = Run.of(leaves)
    assert by_tiles(tiles, run) == []
    expected: dict[int, Kind] = {}
    extra: dict[int, bytes] = {}
    for offset in touched:
        kind = data.draw(st.sampled_from([Kind.CHANGED, Kind.REMOVED, Kind.ADDED]))
        if kind is Kind.REMOVED:
            del leaves[offset]
        elif kind is Kind.CHANGED:
            leaves[offset] = _leaf(offset, 1_000_000 + offset)
        else:
            extra[offset] = _leaf(offset, 2_000_000 + offset)
        expected[offset] = kind
    changed = [*leaves.items(), *extra.items()]
    changed.sort(key=lambda pair: pair[0])
    run = Run(np.array([offset for offset, _ in changed], dtype=np.int64), b"".join(h for _, h in changed))
    for found in (by_tiles(tiles, run), by_marks({o: _leaf(o, c) for o, c in contents.items()}, run)):
        named = {
            offset: each.kind
            for each in found
            for offset in contents
            if each.first <= offset <= each.last and (each.kind is not Kind.UNCLEAR or offset in expected)
        }
        assert named == expected


@given(_logs(), st.data())
def test_contents_that_changed_places_are_told_as_such(
    log: tuple[dict[int, int], list[Tile]], data: st.DataObject
) -> None:
    contents, tiles = log
    one, other = data.draw(st.lists(st.sampled_from(sorted(contents)), min_size=2, max_size=2, unique=True))
    swapped = contents | {one: contents[other], other: contents[one]}
    run = Run.of({offset: _leaf(offset, content) for offset, content in swapped.items()})
    marks = {offset: _leaf(offset, content) for offset, content in contents.items()}
    found = with_moves(
        by_tiles(tiles, run),
        PARTITION,
        marks,
        lambda offsets: {offset: swapped[offset].to_bytes(8, "big") for offset in offsets},
    )
    assert {(each.kind, each.first) for each in found} == {(Kind.REORDERED, one), (Kind.REORDERED, other)}


@given(_logs(), st.lists(st.integers(1, 90), min_size=1, max_size=30), st.integers(0, 300))
def test_tiles_lead_to_the_root_that_the_leaves_lead_to(
    log: tuple[dict[int, int], list[Tile]], cuts: list[int], doubled: int
) -> None:
    contents, tiles = log
    whole = Run.of({offset: _leaf(offset, content) for offset, content in contents.items()})
    edge = tiles_lead_to(Edge(), tiles, len(whole), _root(whole))
    assert edge is not None
    assert edge.root() == _root(whole)
    assert leads_to(Edge(), whole, len(whole), _root(whole)) is not None
    assert leads_to(Edge(), whole.part(0, len(whole) - 1), len(whole), _root(whole)) is None
    assert describe(tiles, whole)
    at = min(doubled, len(whole) - 1)
    twice = whole.part(0, at + 1).joined(whole.part(at, len(whole)))
    assert twice.without_doubles().hashes == whole.hashes
    pieces, start = [], 0
    for length in [*cuts, len(whole)]:
        pieces.append(whole.part(start, start + length))
        start += length
    reader = Reader(pieces)
    middle = int(whole.offsets[len(whole) // 2])
    assert reader.until(middle).hashes + reader.until(1 << 60).hashes == whole.hashes
    for tile in tiles:
        back, end = unpack(pack(tile), 0)
        assert end == len(pack(tile))
        assert back.nodes == tile.nodes
        assert back.offsets.tolist() == tile.offsets.tolist()
        assert back.tags.tolist() == tile.tags.tolist()


@given(_logs(), st.data())
def test_a_tile_of_before_with_two_bytes_of_each_hash_is_read(
    log: tuple[dict[int, int], list[Tile]], data: st.DataObject
) -> None:
    contents, tiles = log
    older = [_of_before(tile) for tile in tiles]
    leaves = {offset: _leaf(offset, content) for offset, content in contents.items()}
    assert describe(older, Run.of(leaves))
    assert by_tiles(older, Run.of(leaves)) == []
    changed = data.draw(st.sampled_from(sorted(leaves)))
    leaves[changed] = bytes(byte ^ 0xFF for byte in leaves[changed])
    assert not describe(older, Run.of(leaves))
    assert by_tiles(older, Run.of(leaves)) == [Difference(Kind.CHANGED, changed, changed)]


def _of_before(tile: Tile) -> Tile:
    """As it is read back from a row without `more_tags`."""
    packed, rest = pack(tile), 2 * len(tile.tags)
    end = len(packed) - HASH_BYTES * len(tile.nodes) - (1 if len(tile.nodes) < 128 else 2)
    count = 1 if len(tile.tags) < 128 else 2
    older, _ = unpack(packed[: end - rest - count] + bytes(1) + packed[end:], 0)
    assert older.tag_bytes == 2
    return older


def _root(run: Run) -> bytes:
    edge = Edge()
    for tile in cut(len(run), 0, run.offsets, run.hashes):
        edge.extend(tile.nodes)
    return edge.root()


def test_neighbours_that_were_removed_are_one_difference() -> None:
    marks = {offset: _leaf(offset, 0) for offset in (1, 2, 5, 9)}
    assert by_marks(marks, Run.of({9: marks[9]})) == [Difference(Kind.REMOVED, 1, 5, 3)]


FIRST, SECOND, THIRD = (PrivateKey("keytrail", bytes([number]) * 32) for number in (1, 2, 3))
LOG = Log("3f1c2a9e-52a4-4a56-9b1e-0a7c3b1d2e4f", 0)


def _note(at: int, *keys: PrivateKey) -> str:
    return sign(Checkpoint(LOG, 1, bytes(32), 1, at).text, keys)


def test_keys_are_followed_and_old_ones_count_no_longer_than_they_should() -> None:
    handovers = [hand_over(SECOND, THIRD, 2_000_000_000), hand_over(FIRST, SECOND, 1_000_000_000)]
    trust = Trust([TrustedKey(FIRST.public)])
    assert trust.follow(handovers) == []
    last = 1_000_000_000 + OVERLAP_US
    for at, key in ((1, FIRST), (last, FIRST), (1_500_000_000, SECOND), (10**13, THIRD)):
        assert trust.open(_note(at, key)).at == at
    for at, key in ((last + 1, FIRST), (10**13, SECOND)):
        with pytest.raises(NoteError, match="did not count any more"):
            trust.open(_note(at, key))
    again = Trust([TrustedKey.of_text(key.text) for key in trust.keys])
    assert again.keys == trust.keys
    assert again.follow(handovers) == []
    assert again.keys == trust.keys


def test_a_stolen_key_that_was_retired_makes_no_other_key_trusted() -> None:
    right, stolen = hand_over(FIRST, SECOND, 1_000), hand_over(FIRST, THIRD, 500)
    followed = Trust([TrustedKey(FIRST.public)])
    assert followed.follow([right]) == []
    assert followed.follow([stolen, right]) == [stolen]
    told = Trust([TrustedKey(FIRST.public, until=1_000), TrustedKey(SECOND.public)])
    assert told.follow([stolen, right]) == [stolen]
    alone = Trust([TrustedKey(FIRST.public, until=1_000)])
    assert alone.follow([stolen]) == [stolen]
    at_once = Trust([TrustedKey(FIRST.public)])
    assert at_once.follow([stolen, right]) == sorted([stolen, right])
    for trust in (followed, told, alone, at_once):
        with pytest.raises(NoteError, match="No trusted key"):
            trust.open(_note(400, THIRD))


def test_a_key_comes_after_another_only_if_it_signs_so_itself() -> None:
    one_sided = sign(Handover(SECOND.public, 1_000).text, [FIRST])
    trust = Trust([TrustedKey(FIRST.public)])
    assert trust.follow([one_sided]) == [one_sided]
    assert trust.keys == [TrustedKey(FIRST.public)]


def test_a_handover_that_no_trusted_key_signed_changes_nothing() -> None:
    trust = Trust([TrustedKey(FIRST.public)])
    forged = hand_over(SECOND, THIRD, 5)
    late = hand_over(FIRST, SECOND, 1_000)
    assert trust.follow([forged]) == [forged]
    with pytest.raises(NoteError, match="No trusted key"):
        trust.open(_note(6, THIRD))
    retired = Trust([TrustedKey(FIRST.public, until=500)])
    assert retired.follow([late]) == [late]
    with pytest.raises(NoteError):
        TrustedKey.of_text("keytrail+00+AA until tomorrow")
