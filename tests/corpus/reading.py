"""The corpus as a test uses it: records whose schemas have got their ids."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keytrail.schemas import wire

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Sample:
    """A file of the corpus; see `corpus.pieces.Case`."""

    name: str
    reason: str | None
    schema: str
    refused: bool
    key: bytes | None
    headers: list[tuple[str, bytes | None]]
    content: bytes | None

    def value(self, id_of: Callable[[str], int]) -> bytes | None:
        """The record's value; `id_of` knows the id of a schema, by name or by text."""
        if self.content is None or not self.schema:
            return self.content
        return wire.frame(id_of(self.schema)) + self.content


def load(folder: str) -> list[Sample]:
    return [_sample(path) for path in sorted((HERE / folder).glob("*.json"))]


def _sample(path: Path) -> Sample:
    spelled = json.loads(path.read_text())
    value = spelled["value"]
    return Sample(
        name=path.stem,
        reason=spelled["reason"],
        schema=spelled["schema"],
        refused=spelled["refused"],
        key=_bytes(spelled["key"]),
        headers=[(name, _bytes(content)) for name, content in spelled["headers"]],
        content=None if value is None else b"".join(_bytes(part) or b"" for part in value),
    )


def _bytes(part: Any) -> bytes | None:
    if isinstance(part, list):
        digits, count = part
        return bytes.fromhex(digits) * count
    return None if part is None else bytes.fromhex(part)
