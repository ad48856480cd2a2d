"""Trees and proofs: the published test values, and every bit of a proof counts."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keytrail.sinks.proof.merkle import (
    EMPTY_ROOT,
    Edge,
    MissingNodeError,
    Prover,
    is_consistent,
    leaf_hash,
    node_hash,
    range_nodes,
    root_of_inclusion,
)

# The inputs and roots that Certificate Transparency's implementations test with.
ENTRIES = [
    bytes.fromhex(text)
    for text in (
        *("", "00", "10", "2021", "3031", "40414243", "5051525354555657"),
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]

sizes = st.integers(1, 300)


def _leaves(count: int) -> list[bytes]:
    return [leaf_hash(number.to_bytes(4, "big")) for number in range(count)]


def _root(leaves: list[bytes]) -> bytes:
    """MTH, as RFC 6962 defines it in words."""
    if len(leaves) < 2:
        return leaves[0] if leaves else sha256(b"").digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(_root(leaves[:split]), _root(leaves[split:]))


def _prover(leaves: list[bytes]) -> Prover:
    return Prover(lambda level, index: leaves[index] if level == 0 else None)


def test_the_published_roots() -> None:
    assert Edge().root() == EMPTY_ROOT == sha256(b"").digest()
    edge = Edge()
    for number, entry in enumerate(ENTRIES):
        edge.extend(range_nodes(number, leaf_hash(entry)))
        assert edge.root().hex() == ROOTS[number]


@given(st.integers(0, 300), st.lists(st.integers(1, 100), max_size=8))
def test_a_tree_grown_in_any_steps_has_the_root_of_its_leaves(first: int, steps: list[int]) -> None:
    leaves = _leaves(first + sum(steps))
    edge = Edge(range_nodes(0, b"".join(leaves[:first])))
    for step in steps:
        edge.extend(range_nodes(edge.size, b"".join(leaves[edge.size : edge.size + step])))
        edge = Edge.of_size(edge.size, edge.packed)
    assert edge.size == len(leaves)
    assert edge.root() == _root(leaves)


def test_an_edge_takes_only_what_follows() -> None:
    with pytest.raises(ValueError, match="leaf 5 does not follow 4 leaves"):
        Edge(range_nodes(0, b"".join(_leaves(4)))).extend(range_nodes(5, _leaves(1)[0]))
    with pytest.raises(ValueError, match="7 leaves has 3 hashes"):
        Edge.of_size(7, b"x" * 64)


@given(sizes, st.data())
def test_inclusion_is_proved_and_any_flipped_bit_is_seen(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    leaves = _leaves(size)
    root = _root(leaves)
    path = _prover(leaves).inclusion(index, size)
    assert root_of_inclusion(leaves[index], index, size, path) == root
    assert root_of_inclusion(leaves[index], index, size, [*path, root]) is None
    assert root_of_inclusion(_flipped(leaves[index], data), index, size, path) != root
    for wrong in {*range(max(0, index - 3), min(size, index + 4))} - {index}:
        assert root_of_inclusion(leaves[index], wrong, size, path) != root
    if path:
        at = data.draw(st.integers(0, len(path) - 1))
        bad = [*path[:at], _flipped(path[at], data), *path[at + 1 :]]
        assert root_of_inclusion(leaves[index], index, size, bad) != root
        assert root_of_inclusion(leaves[index], index, size, path[:-1]) != root


@given(sizes, st.data())
def test_consistency_is_proved_and_any_flipped_bit_is_seen(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new))
    leaves = _leaves(new)
    old_root, new_root = _root(leaves[:old]), _root(leaves)
    path = _prover(leaves).consistency(old, new)
    assert is_consistent(old, old_root, new, new_root, path)
    assert not is_consistent(old, _flipped(old_root, data), new, new_root, path)
    assert not is_consistent(old, old_root, new, _flipped(new_root, data), path)
    assert not is_consistent(old, old_root, new, new_root, [*path, old_root])
    assert not is_consistent(new + 1, old_root, new, new_root, path)
    if path:
        at = data.draw(st.integers(0, len(path) - 1))
        bad = [*path[:at], _flipped(path[at], data), *path[at + 1 :]]
        assert not is_consistent(old, old_root, new, new_root, bad)
        assert not is_consistent(old, old_root, new, new_root, path[:-1])


def test_a_prover_works_with_subtrees_and_says_what_is_missing() -> None:
    leaves = _leaves(11)
    nodes = {(n.level, n.index): n.hash for n in range_nodes(0, b"".join(leaves))}
    prover = Prover(lambda level, index: nodes.get((level, index)))
    assert prover.root(11) == _root(leaves)
    assert prover.consistency(8, 11) == _prover(leaves).consistency(8, 11)
    with pytest.raises(MissingNodeError, match="leaf 4"):
        prover.inclusion(3, 11)


def _flipped(value: bytes, data: st.DataObject) -> bytes:
    bit = data.draw(st.integers(0, len(value) * 8 - 1))
    return bytes(byte ^ (1 << bit % 8) * (at == bit // 8) for at, byte in enumerate(value))
