"""Numbers that wait to be decided on: bitmaps of all runs, by block and by the hour in which they came."""

import json
from collections import defaultdict
from collections.abc import Mapping

from keytrail.stream.errors import StateFormError
from keytrail.stream.stages.store import StateChange, StateStore

_FORM = 1  # of the packed state

Block = dict[int, int]  # the bits of numbers that came in an hour, by hour


class WaitingNumbers:
    """Not thread-safe."""

    def __init__(self) -> None:
        self._blocks: StateStore[Block] = StateStore("sequence-block", _pack, _unpack)
        self._blocks_of: dict[str, set[int]] = defaultdict(set)

    @property
    def prefix(self) -> bytes:
        return self._blocks.prefix

    def add(self, run: str, number: int, hour: int, bits: int) -> None:
        """Numbers of the block came in this hour."""
        name = _name(run, number)
        block = self._blocks.get(name) or {}
        block[hour] = block.get(hour, 0) | bits
        self._blocks.put(name, block)
        self._blocks_of[run].add(number)

    def many(self, run: str) -> int:
        """How many blocks of the run there are."""
        return len(self._blocks_of.get(run, ()))

    def of(self, run: str) -> dict[int, Block]:
        """The run's blocks, to be changed; `keep` remembers what is left of them."""
        return {
            number: dict(self._blocks.get(_name(run, number)) or {})
            for number in self._blocks_of.get(run, ())
        }

    def keep(self, run: str, blocks: Mapping[int, Block]) -> None:
        """These are left of the run's."""
        for number in list(self._blocks_of.get(run, ())):
            name, left = _name(run, number), blocks.get(number)
            if left is None:
                self._blocks.remove(name)
                self._forget(run, number)
            elif left != self._blocks.get(name):
                self._blocks.put(name, left)

    def _forget(self, run: str, number: int) -> None:
        numbers = self._blocks_of[run]
        numbers.discard(number)
        if not numbers:
            del self._blocks_of[run]

    def take_changes(self) -> list[StateChange]:
        return self._blocks.take_changes()

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take a record of the changelog, in its order."""
        self._blocks.restore(key, value)
        number, _, run = key.removeprefix(self.prefix).decode().partition(" ")
        if value is None:
            self._forget(run, int(number))
        else:
            self._blocks_of[run].add(int(number))


def seen(blocks: Mapping[int, Block], until: int) -> dict[int, int]:
    """The bits of numbers that came up to this hour."""
    found = {}
    for number, block in blocks.items():
        bits = 0
        for hour, some in block.items():
            if hour <= until:
                bits |= some
        if bits:
            found[number] = bits
    return found


def _name(run: str, number: int) -> str:
    return f"{number} {run}"


def _pack(block: Block) -> bytes:
    items = [(hour, f"{bits:x}") for hour, bits in block.items()]
    return json.dumps([_FORM, items], separators=(",", ":")).encode()


def _unpack(packed: bytes) -> Block:
    form, items = json.loads(packed)
    if form != _FORM:
        raise StateFormError("numbers of a run", form)
    return {hour: int(bits, 16) for hour, bits in items}
