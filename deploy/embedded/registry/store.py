"""What the topic's records add up to: subjects, their versions, ids and levels."""

from keytrail.deploy.embedded.registry.compatibility import Level
from keytrail.deploy.embedded.registry.errors import RegistryError
from keytrail.deploy.embedded.registry.records import (
    LevelSet,
    Record,
    SchemaRecord,
    SchemaRemoved,
    SubjectDeleted,
)
from keytrail.deploy.embedded.registry.schema import parse_schema


class Store:
    """Records are applied in the order of the topic.  Not thread-safe: its user holds a lock."""

    def __init__(self) -> None:
        self._subjects: dict[str, dict[int, SchemaRecord]] = {}
        self._id_of: dict[str, int] = {}
        self._text_of: dict[int, str] = {}
        self._levels: dict[str | None, Level] = {}
        self.highest_id = 0

    def apply(self, record: Record) -> None:
        match record:
            case SchemaRecord():
                self._subjects.setdefault(record.subject, {})[record.version] = record
                self._id_of.setdefault(_canonical(record.text), record.schema_id)
                self._text_of.setdefault(record.schema_id, record.text)
                self.highest_id = max(self.highest_id, record.schema_id)
            case SchemaRemoved(subject, version):
                self._remove(subject, version)
            case SubjectDeleted(subject, version):
                for found in self.versions(subject):
                    if found.version <= version:
                        self._subjects[subject][found.version] = SchemaRecord(
                            found.subject, found.version, found.schema_id, found.text, deleted=True
                        )
            case LevelSet(level_of, level):
                if level is None:
                    self._levels.pop(level_of, None)
                else:
                    self._levels[level_of] = level

    def subjects(self, deleted: bool = False) -> list[str]:
        """In alphabetical order; with `deleted` also those of which only soft-deleted versions are left."""
        return sorted(subject for subject in self._subjects if self.versions(subject, deleted))

    def versions(self, subject: str, deleted: bool = False) -> list[SchemaRecord]:
        """In ascending order, with `deleted` the soft-deleted ones too; none for an unknown subject."""
        found = self._subjects.get(subject, {})
        return [found[version] for version in sorted(found) if deleted or not found[version].deleted]

    def uses(self, schema_id: int, deleted: bool = False) -> list[SchemaRecord]:
        """The versions, of any subject, that have this schema."""
        return [
            record
            for subject in sorted(self._subjects)
            for record in self.versions(subject, deleted)
            if record.schema_id == schema_id
        ]

    def text_of(self, schema_id: int) -> str | None:
        return self._text_of.get(schema_id)

    def id_of(self, canonical: str) -> int | None:
        """The id of a schema that was registered under any subject, by its canonical form."""
        return self._id_of.get(canonical)

    def level(self, subject: str | None) -> Level | None:
        """The level set for this subject, or with None the one set for all."""
        return self._levels.get(subject)

    def _remove(self, subject: str, version: int) -> None:
        removed = self._subjects.get(subject, {}).pop(version, None)
        if not self._subjects.get(subject):
            self._subjects.pop(subject, None)
        if removed is not None and not self.uses(removed.schema_id, deleted=True):
            self._text_of.pop(removed.schema_id, None)


def _canonical(text: str) -> str:
    try:
        return parse_schema(text).canonical
    except RegistryError:  # another registry's, of a kind or dialect that is not read here
        return text
