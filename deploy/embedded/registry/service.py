"""What the registry does: registering, looking up, deleting, judging."""

import threading
from collections.abc import Sequence

from keytrail.deploy.embedded.registry import errors
from keytrail.deploy.embedded.registry.compatibility import Earlier, Level, incompatibilities
from keytrail.deploy.embedded.registry.errors import RegistryError, subject_not_found, version_not_found
from keytrail.deploy.embedded.registry.records import LevelSet, SchemaRecord, SchemaRemoved, SubjectDeleted
from keytrail.deploy.embedded.registry.schema import AvroSchema, parse_schema
from keytrail.deploy.embedded.registry.store import Store
from keytrail.deploy.embedded.registry.topic import ClientConfig, SchemaTopic

LATEST = -1


class Registry:
    """Thread-safe; what changes something blocks until Kafka has stored it, one at a time.

    Every method may raise `RegistryError` with Confluent's code for what was refused.
    """

    def __init__(self, client: ClientConfig, topic: str, default_level: Level) -> None:
        """Waits until all that was registered is loaded; raises `UnavailableError` where Kafka is away."""
        self._default_level = default_level
        self._store = Store()
        self._lock = threading.Lock()  # guards the store
        self._changing = threading.Lock()  # one change at a time, from its decision to its effect
        self._topic = SchemaTopic.open(client, topic, self._store.apply, self._lock)

    def close(self) -> None:
        self._topic.close()

    def register(self, subject: str, text: str, normalize: bool) -> int:
        """The schema's id: the one it has where it was registered before, under this or another subject."""
        schema = parse_schema(text, normalize)
        with self._changing:
            with self._lock:
                if found := self._find(subject, schema, deleted=False):
                    return found.schema_id
                level = self._level(subject)
                earlier = self._store.versions(subject)
                version = max((v.version for v in self._store.versions(subject, deleted=True)), default=0) + 1
                # Beyond every offset so far as well: an id that was deleted for good is never given again.
                fresh_id = max(self._store.highest_id, self._topic.next_offset) + 1
                schema_id = self._store.id_of(schema.canonical) or fresh_id
            if reasons := incompatibilities(schema, _parsed(earlier), level):
                raise RegistryError(
                    errors.INCOMPATIBLE,
                    f"Schema being registered is incompatible with an earlier schema for subject"
                    f' "{subject}" ({level}): {"; ".join(reasons)}.',
                )
            self._topic.append(SchemaRecord(subject, version, schema_id, schema.text))
            return schema_id

    def look_up(self, subject: str, text: str, normalize: bool, deleted: bool) -> SchemaRecord:
        """The version under which this schema is registered for the subject."""
        schema = parse_schema(text, normalize)
        with self._lock:
            self._require(subject, deleted)
            if found := self._find(subject, schema, deleted):
                return found
        raise RegistryError(errors.SCHEMA_NOT_FOUND, "Schema not found.")

    def schema_text(self, schema_id: int) -> str:
        with self._lock:
            text = self._store.text_of(schema_id)
        if text is None:
            raise RegistryError(errors.SCHEMA_NOT_FOUND, f"Schema {schema_id} not found.")
        return text

    def uses(self, schema_id: int, deleted: bool) -> list[SchemaRecord]:
        """The versions, of any subject, that have this schema."""
        self.schema_text(schema_id)
        with self._lock:
            return self._store.uses(schema_id, deleted)

    def subjects(self, deleted: bool) -> list[str]:
        with self._lock:
            return self._store.subjects(deleted)

    def versions(self, subject: str, deleted: bool) -> list[int]:
        with self._lock:
            return [record.version for record in self._require(subject, deleted)]

    def version(self, subject: str, version: int, deleted: bool = False) -> SchemaRecord:
        """`version` may be `LATEST`."""
        with self._lock:
            return _pick(self._require(subject, deleted), version)

    def delete_subject(self, subject: str, permanent: bool) -> list[int]:
        """The versions that were deleted.  `permanent` takes a soft delete before it."""
        with self._changing:
            with self._lock:
                live, all_ = self._store.versions(subject), self._store.versions(subject, deleted=True)
            if not all_:
                raise subject_not_found(subject)
            if not permanent:
                if not live:
                    raise RegistryError(
                        errors.SUBJECT_SOFT_DELETED,
                        f"Subject '{subject}' was soft deleted. Set permanent=true to delete permanently.",
                    )
                self._topic.append(SubjectDeleted(subject, live[-1].version))
                return [record.version for record in live]
            if live:
                raise RegistryError(
                    errors.SUBJECT_NOT_SOFT_DELETED,
                    f"Subject '{subject}' was not deleted first before being permanently deleted.",
                )
            for record in all_:
                self._topic.append(SchemaRemoved(subject, record.version))
            return [record.version for record in all_]

    def delete_version(self, subject: str, version: int, permanent: bool) -> int:
        """The version's number.  `permanent` takes a soft delete before it."""
        with self._changing:
            with self._lock:
                found = _pick(self._require(subject, deleted=version != LATEST), version)
            name = f"Subject '{subject}' Version {found.version}"
            if not permanent:
                if found.deleted:
                    raise RegistryError(
                        errors.VERSION_SOFT_DELETED,
                        f"{name} was soft deleted. Set permanent=true to delete permanently.",
                    )
                gone = SchemaRecord(subject, found.version, found.schema_id, found.text, deleted=True)
                self._topic.append(gone)
            elif not found.deleted:
                raise RegistryError(
                    errors.VERSION_NOT_SOFT_DELETED,
                    f"{name} was not deleted first before being permanently deleted.",
                )
            else:
                self._topic.append(SchemaRemoved(subject, found.version))
            return found.version

    def judge(self, subject: str, version: int | None, text: str, normalize: bool) -> list[str]:
        """Why the schema may not follow `version` (None: those that the level names); nothing if it may."""
        schema = parse_schema(text, normalize)
        with self._lock:
            level = self._level(subject)
            earlier = self._store.versions(subject)
            if version is not None and not (version == LATEST and not earlier):
                earlier = [_pick(self._require(subject, deleted=False), version)]
        return incompatibilities(schema, _parsed(earlier), level)

    def level(self, subject: str | None, or_global: bool) -> Level:
        """The level set for a subject (or, with None, for all); with `or_global` the one in force."""
        with self._lock:
            if subject is None or or_global:
                return self._level(subject)
            level = self._store.level(subject)
        if level is None:
            raise _no_level(subject)
        return level

    def set_level(self, subject: str | None, level: Level) -> None:
        with self._changing:
            self._topic.append(LevelSet(subject, level))

    def unset_level(self, subject: str | None) -> Level:
        """The level that was set."""
        with self._changing:
            with self._lock:
                level = self._store.level(subject)
            if level is None and subject is not None:
                raise _no_level(subject)
            self._topic.append(LevelSet(subject, None))
            return level or self._default_level

    def _level(self, subject: str | None) -> Level:
        return self._store.level(subject) or self._store.level(None) or self._default_level

    def _find(self, subject: str, schema: AvroSchema, deleted: bool) -> SchemaRecord | None:
        schema_id = self._store.id_of(schema.canonical)
        same = [v for v in self._store.versions(subject, deleted) if v.schema_id == schema_id]
        return same[-1] if same else None

    def _require(self, subject: str, deleted: bool) -> list[SchemaRecord]:
        found = self._store.versions(subject, deleted)
        if not found:
            raise subject_not_found(subject)
        return found


def _pick(versions: Sequence[SchemaRecord], version: int) -> SchemaRecord:
    if version == LATEST:
        return versions[-1]
    for record in versions:
        if record.version == version:
            return record
    raise version_not_found(version)


def _parsed(versions: Sequence[SchemaRecord]) -> list[Earlier]:
    return [Earlier(record.version, parse_schema(record.text)) for record in versions]


def _no_level(subject: str) -> RegistryError:
    return RegistryError(
        errors.LEVEL_NOT_FOUND,
        f"Subject '{subject}' does not have subject-level compatibility configured.",
    )
