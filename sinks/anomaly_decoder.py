"""From the values of the anomaly topic to records of findings, whichever schema they were written with."""

from collections.abc import Callable

from keytrail.schemas import avro, wire
from keytrail.schemas.errors import KeytrailError, SchemaError, UnavailableError
from keytrail.schemas.records import Anomaly
from keytrail.schemas.registry import Registry


class AnomalyDecoder:
    """Raises `SchemaError` for what is no finding, and `UnavailableError` where the registry is away."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._reader = avro.parse(avro.schema_text("anomaly"))
        self._by_schema: dict[int, Callable[[bytes, int], Anomaly]] = {}

    def __call__(self, value: bytes) -> Anomaly:
        schema_id = wire.schema_id_of(value)
        try:
            if schema_id is None:
                raise ValueError("no header")
            if (decode := self._by_schema.get(schema_id)) is None:
                written = avro.parse(self._registry.text_of(schema_id))
                decode = self._by_schema[schema_id] = avro.decoder(Anomaly, written, self._reader)
            return decode(value, wire.HEADER_LENGTH)
        except UnavailableError:
            raise
        except (KeytrailError, ValueError, EOFError, IndexError, KeyError, TypeError) as error:
            raise SchemaError(f"A record is no finding ({type(error).__name__}).") from error
