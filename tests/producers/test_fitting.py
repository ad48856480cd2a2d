import dataclasses
from typing import Any

from event_strategies import any_text, events
from hypothesis import given, settings
from hypothesis import strategies as st

from keytrail.producers.datum import flat_encoder
from keytrail.producers.fitting import LIMIT_BYTES, REPAIRED, TRUNCATED, fit
from keytrail.schemas import avro
from keytrail.schemas.records import Event, Micros

SCHEMA = avro.parse(avro.schema_text("event"))
ENCODE = flat_encoder(SCHEMA)
DECODE = avro.decoder(Event, SCHEMA, SCHEMA)
PLAIN = Event("id", Micros(1), Micros(1), "service", None, "anna", "human", None, None, "use", None)
SMALL_LIMIT = 10_000

sizes = st.integers(0, 30_000)
large_text = st.builds(
    lambda unit, size: unit * size, st.sampled_from(["x", "ü", "\U0001f511", "\ud800"]), sizes
)
text_fields = [field.name for field in dataclasses.fields(Event) if field.type in (str, str | None)]
enlarged = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(text_fields, large_text),
        "permissions": st.lists(large_text, max_size=5),
        "attributes": st.dictionaries(st.builds("{}{}".format, any_text, large_text), large_text, max_size=5),
    },
)


@settings(max_examples=150, deadline=None)
@given(events(any_text), enlarged)
def test_any_event_comes_to_fit_and_says_what_was_done_to_it(event: Event, more: dict[str, Any]) -> None:
    given_event = dataclasses.replace(event, **more)

    fitted, datum = fit(given_event, ENCODE, SMALL_LIMIT)

    assert len(datum) + len(fitted.whose.encode()) <= SMALL_LIMIT
    assert DECODE(datum, 0) == fitted
    assert fit(given_event, ENCODE, SMALL_LIMIT) == (fitted, datum)
    marks = ",".join(fitted.attributes.get(mark, "") for mark in (REPAIRED, TRUNCATED)).split(",")
    changed = {name for name in text_fields if getattr(fitted, name) != getattr(given_event, name)}
    assert changed <= set(marks)
    untouched = TRUNCATED not in fitted.attributes and REPAIRED not in fitted.attributes
    assert not untouched or fitted == given_event


@given(events())
def test_an_event_that_fits_is_left_alone(event: Event) -> None:
    assert fit(event, ENCODE)[0] is event


def test_the_longest_free_texts_give_way_first() -> None:
    event = dataclasses.replace(
        PLAIN,
        subject="s" * 1_000,
        reason="short",
        before="b" * 2_000_000,
        after="a" * 3_000_000,
        attributes={"team": "payments", "dump": "d" * 800_000},
    )

    fitted, datum = fit(event, ENCODE)

    assert LIMIT_BYTES - 10_000 < len(datum) <= LIMIT_BYTES
    assert fitted.attributes[TRUNCATED] == "after,before,attributes.dump"
    assert (fitted.subject, fitted.reason, fitted.attributes["team"]) == (event.subject, "short", "payments")
    assert event.before is not None
    assert event.before.startswith(fitted.before or "-")


def test_long_lists_are_cut_where_texts_do_not_suffice() -> None:
    event = dataclasses.replace(
        PLAIN,
        permissions=[f"service:Action{number}" for number in range(100_000)],
        attributes={f"name {number}": "" for number in range(100_000)},
    )

    fitted, _ = fit(event, ENCODE)

    assert fitted.attributes[TRUNCATED] == "attributes,permissions"
    assert fitted.permissions == event.permissions[: len(fitted.permissions)]
    assert len(fitted.permissions) > 10_000


def test_surrogate_pairs_become_one_character_and_lone_ones_are_replaced() -> None:
    event = dataclasses.replace(
        PLAIN,
        reason="\ud83d\udd11 \ud800!",
        permissions=["\udfff"],
        attributes={"\ud800": "1", "\udfff": "2"},  # noqa: F601  # ruff takes lone surrogates for one
    )

    fitted, _ = fit(event, ENCODE)

    assert fitted.reason == "\U0001f511 \ufffd!"
    assert fitted.permissions == ["\ufffd"]
    assert fitted.attributes == {
        "\ufffd": "1",
        "\ufffd_": "2",
        REPAIRED: "permissions,reason,attributes.\ufffd,attributes.\ufffd_",
    }
