"""Avro's whole numbers: zigzag, then seven bits a byte, the least significant first (Avro 1.12)."""


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
