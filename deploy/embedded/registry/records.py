"""The records of the `_schemas` topic: JSON keys and values in the form that Confluent's registry uses.

Kinds that this registry does not write (modes, contexts, no-ops) are skipped when read.
"""

import json
from dataclasses import dataclass

from keytrail.deploy.embedded.registry.compatibility import Level


@dataclass(frozen=True)
class SchemaRecord:
    """A version of a subject.  `deleted` is soft: the id can still be looked up."""

    subject: str
    version: int
    schema_id: int
    text: str
    deleted: bool = False


@dataclass(frozen=True)
class SchemaRemoved:
    """A version is gone for good."""

    subject: str
    version: int


@dataclass(frozen=True)
class SubjectDeleted:
    """All versions up to `version` are soft-deleted."""

    subject: str
    version: int


@dataclass(frozen=True)
class LevelSet:
    """The compatibility level of a subject, or with `subject` None of all; `level` None unsets it."""

    subject: str | None
    level: Level | None


Record = SchemaRecord | SchemaRemoved | SubjectDeleted | LevelSet


def encode(record: Record) -> tuple[bytes, bytes | None]:
    """The topic's key and value."""
    match record:
        case SchemaRecord(subject, version, schema_id, text, deleted):
            value = {
                "subject": subject,
                "version": version,
                "id": schema_id,
                "schema": text,
                "deleted": deleted,
            }
            return _schema_key(subject, version), _dump(value)
        case SchemaRemoved(subject, version):
            return _schema_key(subject, version), None
        case SubjectDeleted(subject, version):
            key = {"keytype": "DELETE_SUBJECT", "subject": subject, "magic": 0}
            return _dump(key), _dump({"subject": subject, "version": version})
        case LevelSet(subject, level):
            key = {"keytype": "CONFIG", "subject": subject, "magic": 0}
            return _dump(key), None if level is None else _dump({"compatibilityLevel": level})


def decode(key: bytes | None, value: bytes | None) -> Record | None:
    """None for a kind of record that this registry has no use for."""
    try:
        name, content = json.loads(key or b"null"), json.loads(value or b"null")
    except ValueError:
        return None
    match name, content:
        case {"keytype": "SCHEMA", "subject": str(subject), "version": int(version)}, None:
            return SchemaRemoved(subject, version)
        case (
            {"keytype": "SCHEMA"},
            {"subject": str(subject), "version": int(version), "id": int(schema_id), "schema": str(text)},
        ):
            return SchemaRecord(subject, version, schema_id, text, bool(content.get("deleted")))
        case {"keytype": "DELETE_SUBJECT"}, {"subject": str(subject), "version": int(version)}:
            return SubjectDeleted(subject, version)
        case {"keytype": "CONFIG"}, {"compatibilityLevel": str(level)} if level in Level.__members__:
            return LevelSet(name.get("subject"), Level(level))
        case {"keytype": "CONFIG"}, None:
            return LevelSet(name.get("subject"), None)
    return None


def _schema_key(subject: str, version: int) -> bytes:
    return _dump({"keytype": "SCHEMA", "subject": subject, "version": version, "magic": 1})


def _dump(value: dict[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
