import dataclasses

import pytest
from event_strategies import clean_text, events, longs
from hypothesis import given
from hypothesis import strategies as st

from keytrail.producers.datum import UnencodableError, flat_encoder
from keytrail.schemas import avro
from keytrail.schemas.errors import SchemaError
from keytrail.schemas.records import Event, Key, Micros, Suspension

EVENT = avro.parse(avro.schema_text("event"))
KEY = avro.parse(avro.schema_text("key"))
PLAIN = Event("id", Micros(1), Micros(1), "service", None, "anna", "human", None, None, "use", None)

texts = st.lists(clean_text, max_size=3)
optional = st.none() | longs
keys = st.builds(
    Key,
    key_id=clean_text,
    version=longs,
    kind=clean_text,
    owner=clean_text,
    team=st.none() | clean_text,
    status=clean_text,
    issued_at=longs,
    expires_at=optional,
    revoked_at=optional,
    scope_actions=texts,
    scope_hours=st.none() | clean_text,
    break_glass=st.booleans(),
    labels=st.dictionaries(clean_text, clean_text, max_size=3),
)


@given(events())
def test_events_are_encoded_as_fastavro_does(event: Event) -> None:
    assert flat_encoder(EVENT)(event) == avro.encoder(EVENT)(event)


@given(keys, st.lists(st.builds(Suspension, longs, longs), max_size=3))
def test_keys_come_back(key: Key, suspensions: list[Suspension]) -> None:
    key = dataclasses.replace(key, suspensions=suspensions)
    assert avro.decoder(Key, KEY, KEY)(avro.encoder(KEY)(key), 0) == key


@pytest.mark.parametrize("size", [63, 64, 4095, 4096, 9000])
def test_lengths_of_each_size_are_encoded_as_fastavro_does(size: int) -> None:
    event = dataclasses.replace(PLAIN, reason="ü" * size, attributes={str(i): "" for i in range(size)})
    assert flat_encoder(EVENT)(event) == avro.encoder(EVENT)(event)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("role", 5),
        ("actor_id", None),
        ("actor_id", b"anna"),
        ("permissions", "read"),
        ("permissions", [None]),
        ("attributes", {"a": 1}),
        ("attributes", None),
        ("sequence", 1 << 63),
        ("sequence", True),
        ("occurred_at", 1.5),
        ("expires_at", "tomorrow"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_by_its_fields_name(field: str, value: object) -> None:
    with pytest.raises(UnencodableError, match=rf"\b{field}\b"):
        flat_encoder(EVENT)(dataclasses.replace(PLAIN, **{field: value}))


def test_text_that_utf8_cannot_hold_is_told_apart() -> None:
    with pytest.raises(UnicodeEncodeError):
        flat_encoder(EVENT)(dataclasses.replace(PLAIN, reason="\ud800"))


def test_a_schema_with_records_in_it_is_refused() -> None:
    with pytest.raises(SchemaError):
        flat_encoder(avro.parse(avro.schema_text("deadletter")))


@pytest.mark.parametrize("name", ["class", "two words", "x); raise SystemExit(("])
def test_a_field_whose_name_is_no_identifier_is_refused(name: str) -> None:
    with pytest.raises(SchemaError):
        flat_encoder({"type": "record", "name": "r", "fields": [{"name": name, "type": "string"}]})
