import dataclasses

import pytest
from event_strategies import events
from hypothesis import given
from hypothesis import strategies as st

from keytrail.producers.datum import flat_encoder
from keytrail.producers.form import Form
from keytrail.schemas import avro
from keytrail.schemas.records import Event
from keytrail.schemas.varint import zigzag

SCHEMA = avro.parse(avro.schema_text("event"))
ENCODE = flat_encoder(SCHEMA)


@given(events(), st.sets(st.sampled_from([field.name for field in dataclasses.fields(Event)])))
def test_a_form_gives_the_bytes_of_the_encoder(event: Event, constant: set[str]) -> None:
    given_values = {name: value for name, value in vars(event).items() if name != "sequence"}
    form = Form(SCHEMA, {name: value for name, value in given_values.items() if name in constant})
    filled = form.fill(
        {name: value for name, value in given_values.items() if name not in constant and value is not None}
    )
    assert filled + zigzag(event.sequence) == ENCODE(event)


def test_a_grant_that_ends_when_it_begins_keeps_its_end() -> None:
    texts = dict.fromkeys(("event_id", "service", "actor_id", "actor_type", "action"), "x")
    form = Form(SCHEMA, {**texts, "recorded_at": 0})
    now = 1_780_000_000_000_000
    equal = int(str(now))
    assert equal is not now
    same_number_twice = form.fill({"occurred_at": now, "expires_at": now})
    assert same_number_twice == form.fill({"occurred_at": now, "expires_at": equal})


def test_a_field_that_is_needed_may_not_be_missing() -> None:
    with pytest.raises(TypeError):
        Form(SCHEMA, {}).fill({"event_id": "id"})
