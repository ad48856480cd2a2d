"""An event's datum filled in like a form: what is not given is encoded already, and costs nothing."""

from collections.abc import Mapping
from typing import Any, cast

from fastavro.types import Schema

from keytrail.producers.datum import OrNull, Write, writer_of


class Form:
    """The fields of a flat schema but for the last, which is written when the event gets its number.

    `constants` are the values of fields that are not filled in; else the schema's defaults hold.
    Thread-safe.
    """

    def __init__(self, schema: Schema, constants: Mapping[str, object]) -> None:
        fields = cast(Mapping[str, Any], schema)["fields"][:-1]
        self._blank: list[bytes | None] = []
        self._writers: dict[str, tuple[int, bytes, Write]] = {}
        for index, field in enumerate(fields):
            name, write = field["name"], writer_of(field["type"])
            value = constants.get(name, field.get("default"))
            required = value is None and not isinstance(write, OrNull)
            self._blank.append(None if required else write(value))
            self._writers[name] = (
                (index, b"\2", write.inner) if isinstance(write, OrNull) else (index, b"", write)
            )

    def fill(self, values: Mapping[str, object]) -> bytes:
        """The datum but for its last field.  No value may be None.

        Raises `UnicodeEncodeError` for text that UTF-8 cannot hold, `TypeError` where a field that has no
        default is missing.
        """
        parts = self._blank.copy()
        writers = self._writers
        for name, value in values.items():
            index, lead, write = writers[name]
            parts[index] = lead + write(value)
        return b"".join(cast(list[bytes], parts))
