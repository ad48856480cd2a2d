"""OTLP's attribute values as text."""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue


class Attributes:
    """Attributes by name; of a name that stands there twice, the last one."""

    def __init__(self, given: Iterable[KeyValue]) -> None:
        self._values: Mapping[str, AnyValue] = {pair.key: pair.value for pair in given}

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def text(self, *names: str) -> str | None:
        """The first of `names` that has a value, as text; None where none has."""
        for name in names:
            value = self._values.get(name)
            if value is not None and (found := text_of(value)):
                return found
        return None

    def texts(self, name: str) -> list[str]:
        """An array's items; another value counts as one."""
        value = self._values.get(name)
        if value is None:
            return []
        items = value.array_value.values if value.WhichOneof("value") == "array_value" else [value]
        return [found for item in items if (found := text_of(item))]


def text_of(value: AnyValue) -> str:
    """Text as it is, numbers in decimal, bytes in base64, what has parts as JSON; "" for no value."""
    plain = _plain(value)
    if plain is None or isinstance(plain, str):
        return plain or ""
    return json.dumps(plain, ensure_ascii=False)


def _plain(value: AnyValue) -> object:
    # Nesting is bounded: protobuf refuses to read what is a hundred levels deep.
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: _plain(pair.value) for pair in value.kvlist_value.values}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return getattr(value, kind) if kind else None
