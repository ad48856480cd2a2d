"""Which schemas may follow which: the compatibility levels, judged by Avro's own rules."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import Field, RecordSchema, Schema

from keytrail.deploy.embedded.registry.errors import INVALID_LEVEL, RegistryError
from keytrail.deploy.embedded.registry.schema import AvroSchema


class Level(StrEnum):
    """BACKWARD: the new schema reads old data.  FORWARD: an old schema reads new data.  FULL: both.

    The plain ones look at the latest version, the transitive ones at all.
    """

    NONE = "NONE"
    BACKWARD = "BACKWARD"
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    FORWARD = "FORWARD"
    FORWARD_TRANSITIVE = "FORWARD_TRANSITIVE"
    FULL = "FULL"
    FULL_TRANSITIVE = "FULL_TRANSITIVE"

    @property
    def reads_old(self) -> bool:
        return self.startswith(("BACKWARD", "FULL"))

    @property
    def read_by_old(self) -> bool:
        return self.startswith(("FORWARD", "FULL"))

    @property
    def is_transitive(self) -> bool:
        return self.endswith("_TRANSITIVE")


@dataclass(frozen=True)
class Earlier:
    """A registered version that a new schema is judged against."""

    version: int
    schema: AvroSchema


def parse_level(text: str) -> Level:
    """Raises `RegistryError` (42203)."""
    try:
        return Level(text.upper())
    except ValueError:
        raise RegistryError(
            INVALID_LEVEL, f"Invalid compatibility level. Valid values are {', '.join(Level)}."
        ) from None


def incompatibilities(new: AvroSchema, earlier: Sequence[Earlier], level: Level) -> list[str]:
    """Why `new` may not follow `earlier` (in order of version): a sentence for each; none if it may."""
    judged = earlier if level.is_transitive else earlier[-1:]
    found: list[str] = []
    for old in judged:
        since = f"version {old.version}"
        if level.reads_old:
            found += _fields_without_default(new, old.schema, since) + _changed_fields(
                new, old.schema, since
            ) or _differences(new, old.schema, f"the new schema cannot read data of {since}")
        if level.read_by_old:
            found += _fields_missed(new, old.schema, since) + _changed_fields(
                old.schema, new, since
            ) or _differences(old.schema, new, f"{since} cannot read data of the new schema")
    return list(dict.fromkeys(found))


def _fields_without_default(new: AvroSchema, old: AvroSchema, since: str) -> list[str]:
    theirs = _fields(old)
    return [
        f"field `{name}` is not in {since} and has no default: give it one, such as null"
        for name, field in _fields(new).items()
        if theirs and name not in theirs and not field.has_default
    ]


def _fields_missed(new: AvroSchema, old: AvroSchema, since: str) -> list[str]:
    ours = _fields(new)
    return [
        f"field `{name}` of {since} has no default there, so it may not go: keep it"
        for name, field in _fields(old).items()
        if ours and name not in ours and not field.has_default
    ]


def _changed_fields(reader: AvroSchema, writer: AvroSchema, since: str) -> list[str]:
    """Fields of the same name whose types do not fit."""
    theirs = _fields(writer)
    return [
        f"field `{name}` has another type than in {since}: keep its type, and add a field by another name"
        for name, field in _fields(reader).items()
        if name in theirs and not _verdict(field.type, theirs[name].type).is_compatible
    ]


def _fields(schema: AvroSchema) -> dict[str, Field]:
    """None where the schema is not a record's."""
    parsed = schema.parsed
    return {field.name: field for field in parsed.fields} if isinstance(parsed, RecordSchema) else {}


def _differences(reader: AvroSchema, writer: AvroSchema, what: str) -> list[str]:
    """In Avro's own words, for what is not about a record's fields."""
    result = _verdict(reader.parsed, writer.parsed)
    if result.is_compatible:
        return []
    return [f"{what}: {result.words}"]


@dataclass(frozen=True)
class _Verdict:
    is_compatible: bool
    words: str


def _verdict(reader: Schema, writer: Schema) -> _Verdict:
    checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]
    result = checker.get_compatibility(reader, writer)
    kinds = ", ".join(sorted({kind.value.replace("_", " ") for kind in result.incompatibilities}))
    details = ", ".join(sorted(result.messages))
    places = ", ".join(sorted(result.locations))
    return _Verdict(
        result.compatibility is SchemaCompatibilityType.compatible, f"{kinds} ({details}) at {places}"
    )
