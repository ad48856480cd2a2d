"""Which schemas may follow which: the compatibility levels, judged by Avro's own rules."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType

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
    found = []
    for old in judged:
        if level.reads_old:
            found += _differences(
                new, old.schema, f"the new schema cannot read data of version {old.version}"
            )
        if level.read_by_old:
            found += _differences(
                old.schema, new, f"version {old.version} cannot read data of the new schema"
            )
    return found


def _differences(reader: AvroSchema, writer: AvroSchema, what: str) -> list[str]:
    checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]
    result = checker.get_compatibility(reader.parsed, writer.parsed)
    if result.compatibility is SchemaCompatibilityType.compatible:
        return []
    kinds = ", ".join(sorted({kind.value.replace("_", " ") for kind in result.incompatibilities}))
    details = ", ".join(sorted(result.messages))
    places = ", ".join(sorted(result.locations))
    return [f"{what}: {kinds} ({details}) at {places}"]
