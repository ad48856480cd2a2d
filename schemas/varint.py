"""Avro's whole numbers: zigzag, then seven bits a byte, the least significant first (Avro 1.12)."""

from collections.abc import Sequence

import numpy as np

_MOST = 10  # bytes of a number of 64 bits


def zigzag(number: int) -> bytes:
    """Raises `OverflowError` for a number of more than 64 bits."""
    if not -(1 << 63) <= number < 1 << 63:
        raise OverflowError(f"{number} takes more than 64 bits")
    rest = (number << 1) ^ (number >> 63)
    if rest <= 0x7F:
        return bytes((rest,))
    digits = bytearray()
    while rest > 0x7F:
        digits.append(rest & 0x7F | 0x80)
        rest >>= 7
    digits.append(rest)
    return bytes(digits)


def zigzags(numbers: Sequence[int]) -> list[bytes]:
    """`zigzag` of many numbers at once."""
    values = np.asarray(numbers, dtype=np.int64)
    rest = ((values << 1) ^ (values >> 63)).view(np.uint64)
    groups = rest[:, None] >> np.arange(0, 7 * _MOST, 7, dtype=np.uint64)
    sizes = np.maximum((groups > 0).sum(axis=1), 1)
    digits = (groups & np.uint64(0x7F)).astype(np.uint8) | np.uint8(0x80)
    digits[np.arange(len(values)), sizes - 1] &= 0x7F
    flat = digits.tobytes()
    return [flat[at : at + size] for at, size in zip(range(0, len(flat), _MOST), sizes.tolist(), strict=True)]
