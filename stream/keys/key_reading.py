"""From the records of the keys topic to what the key directory knows."""

import logging
from collections.abc import Callable

from keytrail.schemas import avro, wire
from keytrail.schemas.errors import SchemaError
from keytrail.schemas.records import Key
from keytrail.stream.keys.keys import KeyDirectory, usable
from keytrail.stream.reading.reading import TORN
from keytrail.stream.reading.schema_source import SchemaTexts

logger = logging.getLogger(__name__)


class KeyReader:
    """Not thread-safe.  Raises `UnavailableError` where the registry is away."""

    def __init__(self, schemas: SchemaTexts, directory: KeyDirectory) -> None:
        self._schemas = schemas
        self._directory = directory
        self._reader = avro.parse(avro.schema_text("key"))
        self._decoders: dict[int, Callable[[bytes, int], Key]] = {}

    def apply(self, key: bytes | None, value: bytes | None, place: str) -> None:
        """Take a record in.  `place` is what the log calls it; one that is no key is left out."""
        if value is None:
            self._directory.forget((key or b"").decode(errors="replace"))
            return
        try:
            schema_id = wire.schema_id_of(value)
            if schema_id is None:
                raise SchemaError("The value has no wire header.")
            if schema_id not in self._decoders:
                writer = avro.parse(self._schemas.text_of(schema_id))
                self._decoders[schema_id] = avro.decoder(Key, writer, self._reader)
            found, problems = usable(self._decoders[schema_id](value, wire.HEADER_LENGTH))
            for problem in problems:
                logger.error("Key %s: %s; this part of its scope is not judged.", found.key_id, problem)
            for alias in self._directory.apply(found):
                logger.error(
                    "Key %s: its alias %s is another key's already; it stays there.", found.key_id, alias
                )
        except (SchemaError, *TORN) as error:
            logger.error("%s is no key record (%s); it is left out.", place, error)
