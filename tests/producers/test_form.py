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
    now = 1_780_000_000_000_000
    event = Event(
        event_id="id",
        occurred_at=now,
        recorded_at=now,
        service="billing",
        environment="production",
        actor_id="alice",
        actor_type="human",
        key_id="pk_alice",
        key_alias=None,
        action="grant",
        subject="bob",
        expires_at=now,
    )
    given_values = {name: value for name, value in vars(event).items() if value not in (None, [], {})}
    del given_values["sequence"]
    assert Form(SCHEMA, {}).fill(given_values) + zigzag(event.sequence) == ENCODE(event)


def test_a_field_that_is_needed_may_not_be_missing() -> None:
    with pytest.raises(TypeError):
        Form(SCHEMA, {}).fill({"event_id": "id"})
