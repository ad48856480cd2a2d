"""An Avro schema as the registry sees it: checked, with a form in which equal schemas are equal text."""

import json
import warnings
from dataclasses import dataclass, field
from functools import lru_cache

import avro.errors
import avro.schema
import fastavro
import fastavro.schema

from keytrail.deploy.embedded.registry.errors import INVALID_SCHEMA, RegistryError


@dataclass(frozen=True)
class AvroSchema:
    """`text` is what is stored and served: compact JSON.  `canonical` is equal for equal schemas.

    Equal means: the same but for white space, the order of attributes, and ways to write one type
    (`{"type": "string"}` and `"string"`, a namespace inherited or spelled out).  Documentation,
    defaults and other attributes count.
    """

    text: str
    canonical: str
    parsed: avro.schema.Schema = field(repr=False, compare=False)


def parse_schema(text: str, normalize: bool = False) -> AvroSchema:
    """With `normalize` the stored text is the canonical one.  Raises `RegistryError` (42201)."""
    schema = _parse(text)
    return AvroSchema(schema.canonical, schema.canonical, schema.parsed) if normalize else schema


@lru_cache(maxsize=4096)
def _parse(text: str) -> AvroSchema:
    try:
        raw = json.loads(text)
        with warnings.catch_warnings():
            # avro knows fewer logical types than others do, and says so for each: they are no error.
            warnings.simplefilter("ignore", avro.errors.IgnoredLogicalType)
            parsed = avro.schema.parse(text)
        # The two check different things: avro names and shapes, fastavro that a default fits its type.
        fastavro.parse_schema(raw)
    except RecursionError:
        raise RegistryError(INVALID_SCHEMA, "Invalid schema: it is nested too deeply.") from None
    except (
        *(ValueError, TypeError, KeyError, AttributeError),
        *(avro.errors.AvroException, fastavro.schema.SchemaParseException, fastavro.schema.UnknownType),
    ) as error:
        raise RegistryError(INVALID_SCHEMA, f"Invalid schema: {error}") from error
    canonical = json.dumps(parsed.to_json(), sort_keys=True, separators=(",", ":"))
    return AvroSchema(json.dumps(raw, separators=(",", ":")), canonical, parsed)
