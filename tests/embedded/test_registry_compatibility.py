"""Compatibility: the endpoint says what Avro's rules say, and what it allows can really be read."""

import io
import json

import fastavro
import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keytrail.deploy.embedded.registry.compatibility import Earlier, Level, incompatibilities
from keytrail.deploy.embedded.registry.schema import parse_schema

VALUES: dict[str, object] = {
    "int": 5,
    "long": 2**40,
    "double": 0.5,
    "string": "s",
    "bytes": b"b",
    "boolean": True,
}
DEFAULTS: dict[str, object] = {**VALUES, "bytes": "b"}


@st.composite
def records(draw: st.DrawFn) -> tuple[str, dict[str, object]]:
    """A record schema and a datum for it, of few names and types, so that two are often compatible."""
    fields, datum = [], {}
    for name in draw(st.lists(st.sampled_from("abc"), unique=True)):
        kind = draw(st.sampled_from(sorted(VALUES)))
        field: dict[str, object] = {"name": name, "type": kind}
        if draw(st.booleans()):
            field["type"] = ["null", kind]
        if draw(st.booleans()):
            field["default"] = None if isinstance(field["type"], list) else DEFAULTS[kind]
        fields.append(field)
        datum[name] = VALUES[kind]
    return json.dumps({"type": "record", "name": "R", "fields": fields}), datum


def is_readable(reader: str, writer: str, datum: dict[str, object]) -> bool:
    wire = io.BytesIO()
    fastavro.schemaless_writer(wire, json.loads(writer), datum)
    wire.seek(0)
    try:
        fastavro.schemaless_reader(wire, json.loads(writer), json.loads(reader))
    except (fastavro.read.SchemaResolutionError, TypeError, ValueError):
        return False
    return True


def allows(level: Level, new: str, *old: str) -> bool:
    earlier = [Earlier(number, parse_schema(text)) for number, text in enumerate(old, start=1)]
    return not incompatibilities(parse_schema(new), earlier, level)


@settings(deadline=None)
@given(records(), records())
def test_what_is_allowed_can_be_read(
    old: tuple[str, dict[str, object]], new: tuple[str, dict[str, object]]
) -> None:
    backward, forward = allows(Level.BACKWARD, new[0], old[0]), allows(Level.FORWARD, new[0], old[0])
    assert not backward or is_readable(new[0], old[0], old[1])
    assert not forward or is_readable(old[0], new[0], new[1])
    assert allows(Level.FULL, new[0], old[0]) == (backward and forward)
    assert allows(Level.BACKWARD, old[0], new[0]) == forward


@settings(deadline=None)
@given(records(), st.lists(records(), min_size=1, max_size=3))
def test_transitive_levels_look_at_all_versions_and_the_others_at_the_latest(
    new: tuple[str, dict[str, object]], old: list[tuple[str, dict[str, object]]]
) -> None:
    texts = [text for text, _ in old]
    for plain in (Level.BACKWARD, Level.FORWARD, Level.FULL):
        transitive = Level(f"{plain}_TRANSITIVE")
        assert allows(plain, new[0], *texts) == allows(plain, new[0], texts[-1])
        assert allows(transitive, new[0], *texts) == all(allows(plain, new[0], text) for text in texts)
    assert allows(Level.NONE, new[0], *texts)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(old=records(), new=records(), level=st.sampled_from(Level), number=st.integers(0, 2**60))
def test_the_endpoint_judges_alike(
    registry: SchemaRegistryClient,
    old: tuple[str, dict[str, object]],
    new: tuple[str, dict[str, object]],
    level: Level,
    number: int,
) -> None:
    subject = f"judged-{level}-{number}-{hash((old[0], new[0]))}"
    registry.set_compatibility(subject, level)
    registry.register_schema(subject, Schema(old[0], "AVRO"))
    assert registry.test_compatibility(subject, Schema(new[0], "AVRO")) == allows(level, new[0], old[0])


@pytest.mark.parametrize("text", ['"int"', '{"type":"array","items":"long"}', '["null","string"]'])
def test_a_schema_may_follow_itself(text: str) -> None:
    assert all(allows(level, text, text, text) for level in Level)


BASE = {"name": "who", "type": "string"}
NOTE = {"name": "note", "type": ["null", "string"], "default": None}


@pytest.mark.parametrize(
    ("fields", "reasons"),
    [
        ([BASE], []),
        ([BASE, NOTE, {"name": "why", "type": "string", "default": ""}], []),
        (
            [BASE, NOTE, {"name": "why", "type": "string"}],
            ["field `why` is not in version 1 and has no default: give it one, such as null"],
        ),
        ([NOTE], ["field `who` of version 1 has no default there, so it may not go: keep it"]),
        (
            [{"name": "who", "type": "long"}, NOTE],
            [
                "field `who` has another type than in version 1: keep its type, "
                "and add a field by another name"
            ],
        ),
    ],
)
def test_the_reason_names_the_field_and_the_remedy(fields: list[object], reasons: list[str]) -> None:
    old, new = (
        parse_schema(json.dumps({"type": "record", "name": "R", "fields": some}))
        for some in ([BASE, NOTE], fields)
    )
    assert incompatibilities(new, [Earlier(1, old)], Level.FULL_TRANSITIVE) == reasons
