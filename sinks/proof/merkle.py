"""Merkle trees as in RFC 6962, section 2.1: hashing, and proofs as RFC 9162 verifies them.

Pure functions of hashes.  A subtree is *aligned* where it holds 2^level leaves and begins at a multiple of
that; an aligned subtree's hash never changes again, however the tree grows.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()
_LEAF = b"\x00"
_NODE = b"\x01"


@dataclass(frozen=True, slots=True)
class Node:
    """An aligned subtree: its leaves are those from `index << level` on, 2^level of them."""

    level: int
    index: int
    hash: bytes


class MissingNodeError(LookupError):
    """A hash that a proof needs is neither known nor can be made of known ones."""


def leaf_hash(entry: bytes) -> bytes:
    return sha256(_LEAF + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(_NODE + left + right).digest()


def range_nodes(first: int, hashes: bytes) -> list[Node]:
    """The largest aligned subtrees of the leaves from `first` on, in order; `hashes` is theirs joined."""
    nodes = []
    at, left = 0, len(hashes) // HASH_BYTES
    while left:
        level = left.bit_length() - 1
        if first:
            level = min(level, (first & -first).bit_length() - 1)
        count = 1 << level
        piece = hashes[at : at + count * HASH_BYTES]
        nodes.append(Node(level, first >> level, _subtree(piece)))
        at, first, left = at + len(piece), first + count, left - count
    return nodes


def _subtree(hashes: bytes) -> bytes:
    """The root over 2^n leaf hashes."""
    while len(hashes) > HASH_BYTES:
        pairs = range(0, len(hashes), 2 * HASH_BYTES)
        hashes = b"".join([sha256(_NODE + hashes[at : at + 2 * HASH_BYTES]).digest() for at in pairs])
    return hashes


class Edge:
    """The right edge of a growing tree: all that is needed to go on, and to tell its root.

    Not thread-safe.
    """

    def __init__(self, nodes: Iterable[Node] = ()) -> None:
        self._nodes = list(nodes)

    @classmethod
    def of_size(cls, size: int, hashes: bytes) -> "Edge":
        """From `packed`.  Raises `ValueError` where there are not as many hashes as the size needs."""
        levels = [level for level in range(size.bit_length() - 1, -1, -1) if size >> level & 1]
        if len(hashes) != len(levels) * HASH_BYTES:
            raise ValueError(f"a tree of {size} leaves has {len(levels)} hashes at its edge")
        nodes = []
        for number, level in enumerate(levels):
            piece = hashes[number * HASH_BYTES : (number + 1) * HASH_BYTES]
            nodes.append(Node(level, (size >> level) - 1, piece))
        return cls(nodes)

    @property
    def size(self) -> int:
        if not self._nodes:
            return 0
        last = self._nodes[-1]
        return (last.index + 1) << last.level

    @property
    def packed(self) -> bytes:
        """The edge's hashes, the oldest leaves' first."""
        return b"".join([node.hash for node in self._nodes])

    def copy(self) -> "Edge":
        return Edge(self._nodes)

    def extend(self, nodes: Iterable[Node]) -> None:
        """Add the subtrees that follow, in order.  Raises `ValueError` where one does not follow."""
        for node in nodes:
            if node.index << node.level != self.size:
                raise ValueError(f"leaf {node.index << node.level} does not follow {self.size} leaves")
            self._nodes.append(node)
            while len(self._nodes) > 1 and self._nodes[-2].level == self._nodes[-1].level:
                left, right = self._nodes[-2:]
                merged = Node(left.level + 1, left.index >> 1, node_hash(left.hash, right.hash))
                self._nodes[-2:] = [merged]

    def root(self) -> bytes:
        if not self._nodes:
            return EMPTY_ROOT
        root = self._nodes[-1].hash
        for node in reversed(self._nodes[:-1]):
            root = node_hash(node.hash, root)
        return root


# The hash of an aligned subtree by its level and index, None where it is not known.
Known = Callable[[int, int], bytes | None]


@dataclass(frozen=True)
class Prover:
    """Makes proofs out of known subtrees.  Raises `MissingNodeError` where they do not suffice."""

    known: Known

    def root(self, size: int) -> bytes:
        return self._hash(0, size) if size else EMPTY_ROOT

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """The audit path of a leaf in the tree of the first `size` leaves (RFC 9162, section 2.1.3.1)."""
        path: list[bytes] = []
        first, end = 0, size
        while end - first > 1:
            middle = first + _split(end - first)
            if index < middle:
                path.append(self._hash(middle, end))
                end = middle
            else:
                path.append(self._hash(first, middle))
                first = middle
        return path[::-1]

    def consistency(self, old: int, new: int) -> list[bytes]:
        """That the tree of `new` leaves begins with that of `old` ones (RFC 9162, section 2.1.4.1)."""
        path: list[bytes] = []
        first, end, whole = 0, new, True
        while old != end:
            middle = first + _split(end - first)
            if old <= middle:
                path.append(self._hash(middle, end))
                end = middle
            else:
                path.append(self._hash(first, middle))
                first, whole = middle, False
        if not whole:
            path.append(self._hash(first, end))
        return path[::-1]

    def _hash(self, first: int, end: int) -> bytes:
        count = end - first
        if count & (count - 1) == 0 and first % count == 0:
            level = count.bit_length() - 1
            found = self.known(level, first >> level)
            if found is not None:
                return found
        if count == 1:
            raise MissingNodeError(f"the hash of leaf {first} is not known")
        middle = first + _split(count)
        return node_hash(self._hash(first, middle), self._hash(middle, end))


def root_of_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that a leaf's path leads to (RFC 9162, section 2.1.3.2); None where the path has not the
    length that it must have."""
    if not 0 <= index < size:
        return None
    at, last, root = index, size - 1, leaf
    for step in path:
        if last == 0:
            return None
        if at & 1 or at == last:
            root = node_hash(step, root)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            root = node_hash(root, step)
        at, last = at >> 1, last >> 1
    return root if last == 0 else None


def is_consistent(old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether the path proves that the new tree begins with the old one (RFC 9162, section 2.1.4.2)."""
    if not 0 < old <= new:
        return False
    if old == new:
        return not path and old_root == new_root
    steps = [old_root, *path] if old & (old - 1) == 0 else list(path)
    if not steps:
        return False
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    first = second = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            first, second = node_hash(step, first), node_hash(step, second)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            second = node_hash(second, step)
        at, last = at >> 1, last >> 1
    return last == 0 and first == old_root and second == new_root


def _split(count: int) -> int:
    """The largest power of two below `count`."""
    return 1 << (count - 1).bit_length() - 1
