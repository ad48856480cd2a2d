"""Numbers as bitmaps by block, and as ranges.

A block is 1,024 numbers: bit i of block b stands for the number `b * BLOCK + i`.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence

BLOCK = 1_024
_SHIFT = 10
_WITHIN = BLOCK - 1
_DENSE = 40  # so many numbers of each block are quicker put in places than bits are set
_DIGITS = bytes([48, 49]) + bytes(254)

Range = tuple[int, int]  # the first and the last number


def blocks_of(numbers: Sequence[int]) -> dict[int, int]:
    """The bits of each block that the numbers are in; at least one number."""
    first, last = min(numbers) >> _SHIFT, max(numbers) >> _SHIFT
    if (last - first + 1) * _DENSE > len(numbers):
        return _sparse(numbers)
    begin = first << _SHIFT
    places = bytearray((last - first + 1) << _SHIFT)
    for number in numbers:
        places[number - begin] = 1
    # The highest number comes first, as digits are read.
    digits = places.translate(_DIGITS)[::-1]
    found = {}
    for block in range(first, last + 1):
        end = len(digits) - ((block - first) << _SHIFT)
        if bits := int(digits[end - BLOCK : end], 2):
            found[block] = bits
    return found


def _sparse(numbers: Iterable[int]) -> dict[int, int]:
    found: dict[int, int] = {}
    for number in numbers:
        block = number >> _SHIFT
        found[block] = found.get(block, 0) | 1 << (number & _WITHIN)
    return found


def begin_of(block: int) -> int:
    return block << _SHIFT


def block_of(number: int) -> int:
    return number >> _SHIFT


def lowest(block: int, bits: int) -> int:
    """The lowest number whose bit is set; there is one."""
    return begin_of(block) + (bits & -bits).bit_length() - 1


def highest(block: int, bits: int) -> int:
    return begin_of(block) + bits.bit_length() - 1


def above(block: int, bits: int, number: int) -> int:
    """The bits of numbers above this one."""
    most = number - begin_of(block) + 1
    if most <= 0:
        return bits
    return bits >> most << most if most < BLOCK else 0


def ranges(blocks: Mapping[int, int]) -> Iterator[Range]:
    """Numbers whose bits are set, in order; ranges that touch are one."""
    open_first, open_last = 0, -1
    for block in sorted(blocks):
        for first, last in _ranges_within(begin_of(block), blocks[block]):
            if first == open_last + 1 and open_last >= 0:
                open_last = last
                continue
            if open_last >= 0:
                yield open_first, open_last
            open_first, open_last = first, last
    if open_last >= 0:
        yield open_first, open_last


def _ranges_within(begin: int, bits: int) -> Iterator[Range]:
    while bits:
        skipped = (bits & -bits).bit_length() - 1
        bits >>= skipped
        begin += skipped
        length = (~bits & (bits + 1)).bit_length() - 1
        yield begin, begin + length - 1
        bits >>= length
        begin += length


def without(one: Range, others: Sequence[Range]) -> Iterator[Range]:
    """What is left of a range where others, in order and apart from each other, are taken out."""
    first, last = one
    for place in range(max(0, bisect_right(others, (first, first)) - 1), len(others)):
        begin, end = others[place]
        if end < first:
            continue
        if begin > last:
            break
        if begin > first:
            yield first, begin - 1
        first = end + 1
        if first > last:
            return
    yield first, last
