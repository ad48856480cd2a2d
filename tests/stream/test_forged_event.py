"""Events that say they were done with a key and are not, or are not signed though they must be."""

import io
from dataclasses import replace

import fastavro
from hypothesis import assume, given
from hypothesis import strategies as st
from world import NOON, SECOND, World, event, key, records, value_of

from keytrail.schemas import avro, wire
from keytrail.schemas.attributes import CLAIM
from keytrail.schemas.records import Event
from keytrail.schemas.signature import SIGNATURE_HEADER, Claim, Masters, SigningKey, fingerprint
from keytrail.stream.policies.policy import Policy, Signing
from keytrail.stream.reading.source import Record

MASTERS = Masters({"m1": bytes(range(32))})
FINGERPRINT = fingerprint(avro.schema_text("event"))
KEYS = (key("pk_1", secret_version=3, secret_since=NOON, old_secrets_until=NOON + 10 * SECOND), key("pk_2"))


def world(policy: Policy | None = None) -> World:
    return World(KEYS, policy, masters=lambda: MASTERS)


def signed(some: Event, by: SigningKey, offset: int = 0) -> Record:
    value = value_of(some)
    header = by.sign(FINGERPRINT, value[wire.HEADER_LENGTH :])
    return Record(offset, value, some.whose.encode(), headers=[(SIGNATURE_HEADER, header)])


def state_of(enriched: bytes) -> str:
    schema = avro.parse(avro.schema_text("enriched"))
    row = fastavro.schemaless_reader(io.BytesIO(enriched[wire.HEADER_LENGTH :]), schema, None)
    assert isinstance(row, dict)
    return str(row["signature"])


def test_a_signed_event_is_verified_however_many_come_at_once() -> None:
    there = world()
    some = [signed(event(key_id="pk_1"), MASTERS.issue("pk_1", 3), offset) for offset in range(100)]
    output = there.send_records(some)
    assert {state_of(value) for _, value in output.enriched} == {"verified"}
    assert there.rules() == set()


@given(st.data())
def test_every_alteration_is_an_invalid_signature(data: st.DataObject) -> None:
    mine, other = MASTERS.issue("pk_1", 3), MASTERS.issue("pk_2", 1)
    some = event(key_id="pk_1", reason="on call", attributes={"a": "b"})
    record = signed(some, mine)
    header = record.headers[0][1] or b""
    assert record.value is not None
    altered = data.draw(
        st.sampled_from(
            [
                # The datum is another, the key is another, the header is another event's.
                replace(record, value=value_of(replace(some, reason="on cull"))),
                replace(record, value=value_of(replace(some, key_id="pk_2"))),
                replace(record, value=value_of(replace(some, key_id=None))),
                replace(record, headers=signed(event(key_id="pk_1"), mine).headers),
                replace(record, headers=signed(some, other).headers),
                replace(record, headers=[*record.headers, *record.headers]),
                replace(record, headers=[(SIGNATURE_HEADER, header.replace(b";3;", b";2;"))]),
                replace(record, headers=[(SIGNATURE_HEADER, header.replace(b"m1", b"m2"))]),
                replace(record, headers=[(SIGNATURE_HEADER, None)]),
            ]
        )
    )
    many = data.draw(st.booleans())
    filler = records([event() for _ in range(40 if many else 0)], 1)
    there = world()
    output = there.send_records([altered, *filler])
    assert state_of(output.enriched[0][1]) == "invalid"
    [found] = [a for a in there.current().values() if a.rule == "invalid_signature"]
    assert (found.severity, found.status, found.count) == ("critical", "open", 1)


def test_a_signed_record_that_is_sent_again_counts_once() -> None:
    there = world()
    some = [signed(event(key_id="pk_1"), MASTERS.issue("pk_1", 3), offset) for offset in range(3)]
    there.send_records(some)
    output = there.send_records([replace(record, offset=record.offset + 3) for record in some])
    assert (output.enriched, output.duplicates) == ([], 3)


@given(st.integers(1, 3), st.integers(-20, 20))
def test_a_replaced_secret_is_found_from_the_end_of_its_overlap(version: int, seconds: int) -> None:
    there = world()
    some = event(key_id="pk_1", occurred_at=NOON + seconds * SECOND)
    there.send_records([signed(some, MASTERS.issue("pk_1", version))])
    outdated = (version == 2 and seconds >= 10) or (version == 1 and seconds >= 0)
    assert (("invalid_signature", "pk_1", "old secret") in there.current()) == outdated


@given(st.data())
def test_no_byte_of_a_signed_record_can_be_another(data: st.DataObject) -> None:
    """Whatever is done to the value or the header, it is an invalid signature or a dead letter."""
    before = signed(event(key_id="pk_1", reason="on call", attributes={"a": "b"}), MASTERS.issue("pk_1", 3))
    header = before.headers[0][1] or b""
    assert before.value is not None
    if data.draw(st.booleans()):
        after = replace(before, value=data.draw(altered(before.value)))
    else:
        after = replace(before, headers=[(SIGNATURE_HEADER, data.draw(altered(header)))])
    many = data.draw(st.booleans())
    there = world()
    output = there.send_records([after, *records([event() for _ in range(40 if many else 0)], 1)])
    if any(letter.source_offset == 0 for letter in output.dead):
        assert len(output.dead) == 1
    else:
        assert state_of(output.enriched[0][1]) == "invalid"
        assert "invalid_signature" in there.rules()


@st.composite
def altered(draw: st.DrawFn, content: bytes) -> bytes:
    """Other bytes than these: some are changed, put in, or left out."""
    start = draw(st.integers(0, len(content)))
    end = min(len(content), start + draw(st.integers(0, 4)))
    other = content[:start] + draw(st.binary(max_size=4)) + content[end:]
    assume(other != content)
    return other


@given(st.sampled_from(["pk_1", "pk_2", "pk_3"]), st.sampled_from([("pk_1", 3), ("pk_2", 1)]), st.data())
def test_a_claim_names_no_key_but_its_own(named: str, held: tuple[str, int], data: st.DataObject) -> None:
    claim = MASTERS.issue(*held).claim()
    text = data.draw(st.just(claim) | altered(claim.encode()).map(lambda some: some.decode(errors="replace")))
    is_true = named == held[0] and Claim.parse(text) == Claim.parse(claim)
    there = world()
    output = there.send_records(records([event(key_id=named, attributes={CLAIM: text})]))
    assert state_of(output.enriched[0][1]) == ("claimed" if is_true else "invalid")
    assert ("invalid_signature" in there.rules()) == (not is_true)


def test_a_claim_is_believed_for_the_key_it_proves() -> None:
    true, stolen = MASTERS.issue("pk_1", 3).claim(), MASTERS.issue("pk_2", 1).claim()
    there = world()
    outputs = there.send(
        event(key_id="pk_1", attributes={CLAIM: true}),
        event(key_id="pk_1", attributes={CLAIM: stolen}),
        event(key_id="pk_1", attributes={CLAIM: "nonsense"}),
        batch=1,
    )
    states = [state_of(output.enriched[0][1]) for output in outputs]
    assert states == ["claimed", "invalid", "invalid"]
    assert there.current()["invalid_signature", "pk_1", ""].count == 2


def test_the_policy_says_who_has_to_sign() -> None:
    there = world(Policy(signing=Signing(keys=("pk_*",), services=("vault",))))
    there.send_records([signed(event(key_id="pk_1", service="vault"), MASTERS.issue("pk_1", 3))])
    assert there.rules() == set()
    there.send(event(key_id="pk_2"), event(service="vault"), event(service="iam"))
    assert {(a.rule, a.entity) for a in there.current().values()} == {
        ("missing_signature", "pk_2"),
        ("missing_signature", "vault"),
    }


def test_without_masters_nothing_is_said_of_signatures() -> None:
    there = World(KEYS)
    output = there.send_records([signed(event(key_id="pk_1"), MASTERS.issue("pk_9", 3))])
    assert state_of(output.enriched[0][1]) == "unchecked"
    assert there.rules() == set()
