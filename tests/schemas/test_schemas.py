"""The committed schemas: documented, compatible with what came before, and equal to the typed records."""

import json
from dataclasses import fields
from itertools import combinations
from pathlib import Path

import avro.compatibility
import avro.schema
import pytest

from keytrail.schemas import avro as ours
from keytrail.schemas import records

FOLDER = Path(__file__).parents[2] / "schemas" / "avsc"
RECORDS = {
    "event": (records.Event,),
    "enriched": (records.Event, records.Enrichment),
    "key": (records.Key,),
    "anomaly": (records.Anomaly,),
    "deadletter": (records.DeadLetter,),
    "signal": (records.Signal,),
}


def versions(name: str) -> list[str]:
    return [ours.schema_text(name, number) for number in range(1, ours.LATEST[name] + 1)]


def test_every_committed_schema_is_known_by_name_and_version() -> None:
    known = {
        f"{name}.v{number}.avsc" for name, latest in ours.LATEST.items() for number in range(1, latest + 1)
    }
    assert known == {path.name for path in FOLDER.iterdir()}


@pytest.mark.parametrize("name", ours.LATEST)
def test_every_field_is_documented(name: str) -> None:
    def undocumented(node: object, path: str) -> list[str]:
        if isinstance(node, list):
            return [hit for item in node for hit in undocumented(item, path)]
        if not isinstance(node, dict):
            return []
        found = [f"{path}.{f['name']}" for f in node.get("fields", []) if not f.get("doc")]
        for field in node.get("fields", []):
            found += undocumented(field["type"], f"{path}.{field['name']}")
        return found + undocumented(node.get("items"), path)

    assert undocumented(json.loads(ours.schema_text(name)), name) == []


@pytest.mark.parametrize("name", ours.LATEST)
def test_versions_are_compatible_in_full_and_transitively(name: str) -> None:
    checker = avro.compatibility.ReaderWriterCompatibilityChecker()
    for one, other in combinations([avro.schema.parse(text) for text in versions(name)], 2):
        for reader, writer in ((one, other), (other, one)):
            result = checker.get_compatibility(reader, writer)
            assert result.compatibility is avro.compatibility.SchemaCompatibilityType.compatible, (
                result.messages
            )


@pytest.mark.parametrize("name", ours.LATEST)
def test_a_typed_record_has_the_fields_of_its_schema_in_order(name: str) -> None:
    typed = [field.name for kind in RECORDS[name] for field in fields(kind)]
    assert typed == [field["name"] for field in json.loads(ours.schema_text(name))["fields"]]


def test_an_enriched_event_is_an_event_with_more_behind_it() -> None:
    event, enriched = (json.loads(ours.schema_text(name))["fields"] for name in ("event", "enriched"))
    assert enriched[: len(event)] == event
    assert all("default" in field for field in enriched[len(event) :])
