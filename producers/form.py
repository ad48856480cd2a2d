"""An event's datum filled in like a form: what is not given is encoded already, and costs nothing."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from fastavro.types import Schema

from keytrail.producers.datum import SHORT, OrNull, Write, writer_of

_LEADS = {b"": SHORT, b"\2": [b"\2" + count for count in SHORT]}


class Form:
    """The fields of a flat schema but for the last, which is written when the event gets its number.

    `constants` are the values of fields that are not filled in, with `?` for what UTF-8 cannot hold; else the
    schema's defaults hold.
    Thread-safe.
    """

    def __init__(self, schema: Schema, constants: Mapping[str, object]) -> None:
        fields = cast(Mapping[str, Any], schema)["fields"][:-1]
        self._blank: list[bytes | None] = []
        # Where a field is, what goes before it, its length if that is short, and what writes it.
        self._writers: dict[str, tuple[int, bytes, list[bytes], Write]] = {}
        for index, field in enumerate(fields):
            name, write = field["name"], writer_of(field["type"])
            value = constants.get(name, field.get("default"))
            if isinstance(value, str):
                value = value.encode(errors="replace").decode()
            required = value is None and not isinstance(write, OrNull)
            self._blank.append(None if required else write(value))
            lead, inner = (b"\2", write.inner) if isinstance(write, OrNull) else (b"", write)
            self._writers[name] = index, lead, _LEADS[lead], inner

    @property
    def names(self) -> Iterable[str]:
        """The fields that are filled in."""
        return self._writers

    def fill(self, values: Mapping[str, object]) -> bytes:
        """The datum but for its last field.  No value may be None.

        Raises `UnicodeEncodeError` for text that UTF-8 cannot hold, `TypeError` where a field that has no
        default is missing.
        """
        parts = self._blank.copy()
        writers = self._writers
        number: object = None
        written, led = b"", b""
        for name, value in values.items():
            index, lead, sizes, write = writers[name]
            # Almost all are short texts, which are written here: a call would take as long again.
            if type(value) is str and len(encoded := value.encode()) < 4096:
                parts[index] = sizes[len(encoded)] + encoded
            elif value is number and lead == led:
                # An event is mostly recorded when it happens: the same time twice.
                parts[index] = written
            else:
                parts[index] = written = lead + write(value)
                number, led = value, lead
        return b"".join(cast(list[bytes], parts))
