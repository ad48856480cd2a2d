"""Damages a batch in the running broker's own log, as a failing disk would."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_HEADER = struct.Struct(">qi")  # base offset, length of what follows
_CRC_AT, _ATTRIBUTES_AT, _RECORDS_AT = 17, 21, 61
_UNKNOWN_CODEC = 6


@dataclass(frozen=True)
class Batch:
    at: int
    size: int
    first: int
    end: int


class Segment:
    """The first log segment of a partition, while the broker runs: it serves what the file holds."""

    def __init__(self, data_dir: Path, topic: str, partition: int) -> None:
        [self._file] = data_dir.glob(f"**/{topic}-{partition}/00000000000000000000.log")

    def batch_with(self, offset: int) -> Batch:
        return next(batch for batch in self._batches() if batch.first <= offset < batch.end)

    def damage_body(self, batch: Batch) -> None:
        """The checksum is wrong now."""
        self._write(batch.at + batch.size - 4, b"\xff\x00\xff\x00")

    def damage_codec(self, batch: Batch) -> None:
        """The checksum fits, and the codec is one that nobody has."""
        covered = self._covered(batch)
        covered[1] = covered[1] & ~7 | _UNKNOWN_CODEC
        self._write(batch.at + _CRC_AT, struct.pack(">I", crc32c(covered)) + covered)

    def replace(self, batch: Batch, old: bytes, new: bytes) -> None:
        """Other content of the same length, with a checksum that fits."""
        covered = self._covered(batch)
        assert covered.count(old) == 1
        assert len(old) == len(new)
        changed = covered.replace(old, new)
        self._write(batch.at + _CRC_AT, struct.pack(">I", crc32c(changed)) + changed)

    def _covered(self, batch: Batch) -> bytearray:
        """What the checksum is over."""
        with self._file.open("rb") as log:
            log.seek(batch.at + _ATTRIBUTES_AT)
            return bytearray(log.read(batch.size - _ATTRIBUTES_AT))

    def _batches(self) -> Iterator[Batch]:
        content, at = self._file.read_bytes(), 0
        while at + _RECORDS_AT <= len(content):
            first, length = _HEADER.unpack_from(content, at)
            if not length:
                return
            (last_delta,) = struct.unpack_from(">i", content, at + 23)
            yield Batch(at, length + _HEADER.size, first, first + last_delta + 1)
            at += length + _HEADER.size

    def _write(self, at: int, content: bytes) -> None:
        with self._file.open("r+b") as log:
            log.seek(at)
            log.write(content)


def crc32c(content: bytes | bytearray) -> int:
    """Castagnoli's CRC (RFC 3720, appendix B.4), bit by bit."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
