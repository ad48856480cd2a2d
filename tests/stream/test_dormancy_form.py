"""What is kept and told of unused privileged keys, as it is stored, and as earlier versions did."""

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from world import NOON, World, event, key

from keytrail.schemas import avro
from keytrail.schemas.records import Occurrence, Signal
from keytrail.stream.dormancy import days, rest
from keytrail.stream.dormancy.days import Days
from keytrail.stream.dormancy.rest import Rest


@given(st.lists(st.tuples(st.integers(0, 10**18), st.text(max_size=5)), max_size=9), st.integers(0, 10**7))
def test_a_rest_and_days_are_restored_as_they_were(uses: list[tuple[int, str]], judged: int) -> None:
    known = Rest(since=3)
    for use in uses:
        known.use(Occurrence(*use), judged)
    assert rest.unpack(rest.pack(known)) == known
    kept = Days(judged, {0: {"iam": 5}, 2: {"iam": 9, "vault": 8}}, [(3, "a"), (9, "b")])
    assert days.unpack(days.pack(kept)) == kept


def test_days_of_an_earlier_version_are_those_that_were_judged() -> None:
    packed = json.dumps([1, 20_000, [[0, 400_000]], [[480_000, "a"]]]).encode()
    assert days.unpack(packed) == Days(20_000, {}, [(480_000, "a")])


def _before(text: str, name: str) -> str:
    """The schema of signals as it was before attendance had this field."""
    schema = json.loads(text)
    [attendance] = [field for field in schema["fields"] if field["name"] == "attendance"]
    fields = attendance["type"][1]["fields"]
    del fields[[field["name"] for field in fields].index(name) :]
    return json.dumps(schema)


def test_signals_of_an_earlier_version_have_no_such_uses() -> None:
    world = World([key("pk_admin", scope_roles=["db-admin"])])
    [signal] = [
        s
        for s in world.send(event(key_id="pk_admin", occurred_at=NOON))[0].signals
        if s.attendance and s.attendance.reports
    ]
    new = avro.parse(avro.schema_text("signal"))
    old = avro.parse(_before(avro.schema_text("signal"), "privileged"))
    decoded = avro.decoder(Signal, old, new)(avro.encoder(old)(signal), 0)
    assert signal.attendance is not None
    assert decoded == replace(signal, attendance=replace(signal.attendance, numbers_from=-1))
