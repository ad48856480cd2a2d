"""The embedded registry, through Confluent's own client."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext
from embedded_support import RunningStack, wait_until


def record(name: str, *fields: dict[str, object]) -> Schema:
    return Schema(json.dumps({"type": "record", "name": name, "fields": list(fields)}), "AVRO")


ID = {"name": "id", "type": "string"}
REASON = {"name": "reason", "type": "string"}
REASON_OR_NONE = {"name": "reason", "type": ["null", "string"], "default": None}


def refused(call: object, *args: object, **options: object) -> SchemaRegistryError:
    with pytest.raises(SchemaRegistryError) as error:
        call(*args, **options)  # type: ignore[operator]
    return error.value


def test_a_schema_is_registered_and_found_again(registry: SchemaRegistryClient, subject: str) -> None:
    schema = record(subject.replace("-", "_"), ID)
    schema_id = registry.register_schema(subject, schema)
    assert json.loads(registry.get_schema(schema_id).schema_str or "") == json.loads(schema.schema_str or "")
    latest = registry.get_latest_version(subject)
    assert (latest.subject, latest.version, latest.schema_id) == (subject, 1, schema_id)
    found = registry.lookup_schema(subject, schema)
    assert (found.version, found.schema_id) == (1, schema_id)
    assert subject in registry.get_subjects()
    assert registry.get_versions(subject) == [1]
    assert registry.get_subjects_by_schema_id(schema_id) == [subject]
    assert [(use.subject, use.version) for use in registry.get_schema_versions(schema_id)] == [(subject, 1)]
    assert registry.get_schema_types() == ["AVRO"]
    assert registry.get_global_mode() == "READWRITE"


def test_a_schema_written_in_another_way_has_the_same_id(engines: RunningStack, subject: str) -> None:
    name = subject.replace("-", "_")
    field = {"name": "x", "type": "int"}
    first = json.dumps({"type": "record", "name": name, "namespace": "a", "fields": [field]})
    other = {"type": {"type": "int"}, "name": "x"}
    second = json.dumps({"fields": [other], "name": f"a.{name}", "type": "record"}, indent=2)
    ids = set()
    for text in (first, second):
        with SchemaRegistryClient({"url": engines.registry_url}) as client:
            ids.add(client.register_schema(subject, Schema(text, "AVRO")))
            ids.add(client.register_schema(f"{subject}-other", Schema(text, "AVRO")))
            assert client.get_versions(subject) == [1]
    assert len(ids) == 1


def test_an_incompatible_schema_is_refused_with_the_reason(
    registry: SchemaRegistryClient, subject: str
) -> None:
    name = subject.replace("-", "_")
    assert registry.get_config().compatibility_level == "FULL_TRANSITIVE"
    registry.register_schema(subject, record(name, ID))
    registry.register_schema(subject, record(name, ID, REASON_OR_NONE))
    error = refused(registry.register_schema, subject, record(name, ID, REASON))
    assert (error.http_status_code, error.error_code) == (409, 409)
    assert f'incompatible with an earlier schema for subject "{subject}"' in error.error_message
    assert "field `reason` is not in version 1 and has no default: give it one" in error.error_message
    assert not registry.test_compatibility(subject, record(name, ID, REASON))
    assert registry.test_compatibility(subject, record(name, ID))
    assert registry.get_versions(subject) == [1, 2]


def test_a_subjects_level_overrides_the_global_one(registry: SchemaRegistryClient, subject: str) -> None:
    name = subject.replace("-", "_")
    assert refused(registry.get_compatibility, subject).error_code == 40408
    registry.register_schema(subject, record(name, ID))
    forward = record(name, ID, REASON)
    assert refused(registry.register_schema, subject, forward).error_code == 409
    registry.set_compatibility(subject, "FORWARD")
    assert registry.get_compatibility(subject) == "FORWARD"
    registry.register_schema(subject, forward)
    assert refused(registry.set_compatibility, subject, "SIDEWAYS").error_code == 42203
    registry.delete_config(subject)
    assert refused(registry.get_compatibility, subject).error_code == 40408


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (Schema('{"type": "recor"}', "AVRO"), "Invalid schema"),
        (Schema("not json", "AVRO"), "Invalid schema"),
        (Schema('["int", "int"]', "AVRO"), "already in Union"),
        (Schema("[" * 50_000, "AVRO"), "Invalid schema"),
        (record("R", {"name": "n", "type": "int", "default": "one"}), "Default value <one>"),
        (Schema('{"type": "object"}', "JSON"), "only AVRO"),
        (Schema('syntax = "proto3";', "PROTOBUF"), "only AVRO"),
    ],
)
def test_what_is_no_avro_schema_is_refused(
    registry: SchemaRegistryClient, subject: str, schema: Schema, words: str
) -> None:
    error = refused(registry.register_schema, subject, schema)
    assert (error.http_status_code, error.error_code) == (422, 42201)
    assert words in error.error_message


def test_what_is_not_there_has_confluents_error_codes(registry: SchemaRegistryClient, subject: str) -> None:
    assert refused(registry.get_latest_version, subject).error_code == 40401
    assert refused(registry.get_versions, subject).error_code == 40401
    assert refused(registry.lookup_schema, subject, record("R", ID)).error_code == 40401
    assert refused(registry.get_schema, 2_000_000_000).error_code == 40403
    assert refused(registry.delete_subject, subject).error_code == 40401
    registry.register_schema(subject, record("R", ID))
    assert refused(registry.get_version, subject, 9).error_code == 40402
    assert refused(registry.get_version, subject, 0).error_code == 42202
    assert refused(registry.lookup_schema, subject, record("S", ID)).error_code == 40403


def test_a_deletion_is_soft_first_and_then_for_good(engines: RunningStack, subject: str) -> None:
    def client() -> SchemaRegistryClient:
        return SchemaRegistryClient({"url": engines.registry_url})  # a fresh one remembers nothing

    name = subject.replace("-", "_")
    first, second = record(name, ID), record(name, ID, REASON_OR_NONE)
    ids = [client().register_schema(subject, schema) for schema in (first, second)]
    assert refused(client().delete_version, subject, 1, permanent=True).error_code == 40407
    assert client().delete_version(subject, 1) == 1
    assert refused(client().delete_version, subject, 1).error_code == 40406
    assert client().get_versions(subject) == [2]
    assert client().get_schema(ids[0]).schema_str
    assert client().delete_version(subject, 1, permanent=True) == 1
    assert refused(client().get_schema, ids[0]).error_code == 40403

    assert client().delete_subject(subject) == [2]
    assert subject not in client().get_subjects()
    assert subject in client().get_subjects(deleted=True)
    assert refused(client().delete_subject, subject).error_code == 40404
    assert client().register_schema(subject, second) == ids[1]
    assert client().get_versions(subject) == [3]
    client().delete_subject(subject)
    assert client().delete_subject(subject, permanent=True) == [2, 3]
    assert subject not in client().get_subjects(deleted=True)
    assert client().register_schema(f"{subject}-new", record(f"{name}_new", ID)) > max(ids)


def test_one_schema_registered_by_many_at_once_has_one_id(engines: RunningStack, subject: str) -> None:
    schemas = [record(f"{subject}_{number}".replace("-", "_"), ID) for number in range(4)]

    def register(number: int) -> tuple[int, int]:
        with SchemaRegistryClient({"url": engines.registry_url}) as client:
            which = number % len(schemas)
            return which, client.register_schema(f"{subject}-{which}", schemas[which])

    with ThreadPoolExecutor(8) as pool:
        given = set(pool.map(register, range(32)))
    assert len(given) == len({schema_id for _, schema_id in given}) == len(schemas)


def test_a_killed_registry_is_back_with_the_same_ids(engines: RunningStack, subject: str) -> None:
    name = subject.replace("-", "_")
    schemas = [record(f"{name}_{number}", ID) for number in range(3)]
    with SchemaRegistryClient({"url": engines.registry_url}) as client:
        ids = [client.register_schema(f"{subject}-{n}", schema) for n, schema in enumerate(schemas)]
        client.set_compatibility(f"{subject}-0", "NONE")
        client.delete_subject(f"{subject}-1")
    killed = engines.part_pid("registry")
    os.kill(killed, signal.SIGKILL)
    wait_until(
        lambda: engines.part_pid("registry") not in (0, killed) and engines.is_ready("registry"),
        "the registry runs again",
    )
    with SchemaRegistryClient({"url": engines.registry_url}) as client:
        assert client.lookup_schema(f"{subject}-0", schemas[0]).schema_id == ids[0]
        assert client.get_compatibility(f"{subject}-0") == "NONE"
        assert f"{subject}-1" not in client.get_subjects()
        assert [client.register_schema(f"{subject}-{n}", s) for n, s in enumerate(schemas)] == ids
        assert client.register_schema(subject, record(name, ID)) > max(ids)


def test_avro_messages_go_through_the_serializer_and_back(
    registry: SchemaRegistryClient, subject: str
) -> None:
    context = SerializationContext(subject, MessageField.VALUE)
    text = record("Event", ID, REASON_OR_NONE).schema_str
    event = {"id": "e1", "reason": None}
    wire = AvroSerializer(registry, text)(event, context)
    assert wire is not None
    assert AvroDeserializer(registry)(wire, context) == event
    assert registry.get_latest_version(f"{subject}-value").schema_id == int.from_bytes(wire[1:5], "big")
