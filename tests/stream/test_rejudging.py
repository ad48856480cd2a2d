"""Keys and their uses come in any order; in the end the findings are the same."""

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from world import NOON, SECOND, World, event, key, records

from keytrail.producers.key_changes import resecreted, resumed, revoked, rotated, suspended
from keytrail.schemas import avro, wire
from keytrail.schemas.records import Event, Key, Micros
from keytrail.schemas.signature import SIGNATURE_HEADER, Masters, fingerprint
from keytrail.stream.keys.keys import UNKNOWN_KEY
from keytrail.stream.reading.source import Record
from keytrail.stream.stages.uses import KEPT, Cause, KeyUses, Uses, pack, unpack

MASTERS = Masters({"m1": bytes(range(32))})
FINGERPRINT = fingerprint(avro.schema_text("event"))
SCHEMA = avro.parse(avro.schema_text("event"))
DECODE = avro.decoder(Event, SCHEMA, SCHEMA)
BY = {"by": "anna", "reason": "test"}


def test_a_key_that_is_registered_later_is_no_longer_unknown() -> None:
    there = World()
    there.send(*(event(key_id="pk_1", occurred_at=NOON + n) for n in range(3)))
    [found] = there.current().values()
    assert (found.rule, found.status, found.count) == ("unknown_key", "open", 3)
    there.learn(key("pk_1"))
    [resolved] = there.current().values()
    assert (resolved.anomaly_id, resolved.status, resolved.count) == (found.anomaly_id, "resolved", 0)


def test_however_often_it_was_used_before() -> None:
    there = World()
    there.send(*(event(key_id="pk_1", occurred_at=NOON + n) for n in range(5 * KEPT)), batch=7)
    there.learn(key("pk_1"))
    assert there.open_findings() == set()


def test_a_use_after_a_revocation_that_is_heard_of_later_is_flagged_then() -> None:
    live = key("pk_1")
    there = World([live])
    there.send(
        event(key_id="pk_1", occurred_at=NOON - SECOND), event(key_id="pk_1", occurred_at=NOON + SECOND)
    )
    assert there.open_findings() == set()
    there.learn(revoked(live, now=NOON, **BY))
    found = there.current()["revoked_key", "pk_1", ""]
    assert (found.status, found.count, found.first_seen) == ("open", 1, NOON + SECOND)
    # Used before, heard of later: clean.
    there.send(event(key_id="pk_1", occurred_at=NOON - 1))
    assert there.current()["revoked_key", "pk_1", ""].count == 1


def test_what_a_restarted_worker_missed_is_judged_anew() -> None:
    live = key("pk_1")
    before = World([live])
    before.send(event(key_id="pk_1", occurred_at=NOON + SECOND))
    after = World([revoked(live, now=NOON, **BY)])
    for name, value in before.changelog:
        after.events.restore(name, value)
    after.adopt_log(before)
    after.learn()
    assert after.open_findings() == {("revoked_key", "pk_1", "")}


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[list[Key]], list[Record]]:
    """The records of some keys, each in their order, and uses: some signed, some of unregistered keys."""
    lives, known = [], ["pk_none"]
    for number in range(draw(st.integers(1, 3))):
        issued = key(
            f"pk_{number}",
            aliases=[f"hash_{number}"] if draw(st.booleans()) else [],
            expires_at=draw(st.none() | st.integers(NOON, NOON + 20 * SECOND)),
            scope_actions=draw(st.sampled_from([[], ["grant"], ["use", "login"]])),
            issued_at=NOON - SECOND,
        )
        life, now = [issued], NOON
        for step in draw(st.lists(st.sampled_from("srRvO"), max_size=5)):
            now += draw(st.integers(1, 5)) * SECOND
            latest = life[-1]
            match step:
                case "s" if latest.status == "active":
                    life.append(suspended(latest, now=now, **BY))
                case "r" if latest.status == "suspended":
                    life.append(resumed(latest, now=now, **BY))
                case "v" if latest.status != "revoked":
                    life.append(revoked(latest, now=now, **BY))
                case "O" if latest.status != "revoked":
                    life.append(resecreted(latest, overlap=2 * SECOND, now=now, **BY))
                case "R" if (
                    latest.status == "active"
                    and latest.successor is None
                    and (latest.expires_at is None or latest.expires_at > now)
                ):
                    old, new = rotated(latest, f"{latest.key_id}_next", overlap=3 * SECOND, now=now, **BY)
                    life.append(old)
                    lives.append([new])
                    known.append(new.key_id)
        lives.append(life)
        known += [issued.key_id, f"hash_{number}"]
    uses = []
    for offset in range(draw(st.integers(1, KEPT))):
        name = draw(st.sampled_from(known))
        some = event(
            key_id=None if name.startswith("hash") else name,
            key_alias=name if name.startswith("hash") else None,
            occurred_at=NOON + draw(st.integers(-2, 30)) * SECOND,
            action=draw(st.sampled_from(["use", "grant", "login", "issue_key"])),
            role="reader",
            reason="test",
        )
        uses.append(_record(some, offset, draw(st.integers(0, 3))))
    return lives, uses


def _record(some: Event, offset: int, secret: int) -> Record:
    [plain] = records([some], offset)
    assert isinstance(plain, Record)
    assert plain.value is not None
    if secret == 0 or some.key_id is None:
        return plain
    header = MASTERS.issue(some.key_id, secret).sign(FINGERPRINT, plain.value[wire.HEADER_LENGTH :])
    return replace(plain, headers=[(SIGNATURE_HEADER, header)])


@given(histories(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(
    history: tuple[list[list[Key]], list[Record]], chance: random.Random
) -> None:
    lives, uses = history
    # All of the keys' lives first, and then the uses: so each is judged by all there is to know.
    informed = World(masters=lambda: MASTERS)
    informed.learn(*(record for life in lives for record in life))
    informed.send_records(uses)

    # As it happened: each record of a key and each use at its own time.
    happened = World(masters=lambda: MASTERS)
    for moment in as_it_happened(lives, uses):
        if isinstance(moment, Key):
            happened.learn(moment)
        else:
            happened.send_records([moment])
    assert open_counts(happened) == open_counts(informed)

    # In any order, but for the records of one key, which come in theirs.
    turns = [number for number, life in enumerate(lives) for _ in life] + [-1] * len(uses)
    chance.shuffle(turns)
    shuffled = list(uses)
    chance.shuffle(shuffled)
    shuffled = [replace(some, offset=at) for at, some in enumerate(shuffled)]
    left = [iter(life) for life in lives]
    there = World(masters=lambda: MASTERS)
    coming = iter(shuffled)
    for turn in turns:
        if turn < 0:
            there.send_records([next(coming)])
        else:
            there.directory.apply(next(left[turn]))
            if chance.random() < 0.5:
                there.learn()
    there.learn()
    assert open_counts(there) == open_counts(informed)


def as_it_happened(lives: list[list[Key]], uses: list[Record]) -> list[Key | Record]:
    """In the order of their times; what a key is from some moment on is known before what is done then."""
    keys = [(_since(record), 0, record) for life in lives for record in life]
    done = [(DECODE(some.value or b"", wire.HEADER_LENGTH).occurred_at, 1, some) for some in uses]
    # Offsets are given in this order too, as they are where events come in time.
    moments = [moment for *_, moment in sorted([*keys, *done], key=lambda timed: timed[:2])]
    offsets = iter(range(len(uses)))
    return [m if isinstance(m, Key) else replace(m, offset=next(offsets)) for m in moments]


def _since(record: Key) -> Micros:
    return record.issued_at if record.version == 1 else record.changed_at or record.issued_at


def open_counts(there: World) -> dict[tuple[str, str, str], int]:
    """Of each finding that is open in the end, how many events it counts."""
    return {name: found.count for name, found in there.current().items() if found.status != "resolved"}


causes = st.builds(Cause, *(st.text(max_size=8) for _ in range(4)))
offsets = st.integers(0, 2**62)


@given(st.text(), st.lists(st.tuples(offsets, offsets), max_size=KEPT, unique_by=lambda at: at[1]), st.data())
def test_packed_uses_come_back(judged_by: str, places: list[tuple[int, int]], data: st.DataObject) -> None:
    uses = Uses(judged_by)
    for at, offset in places:
        uses.add(at, offset, tuple(data.draw(st.lists(causes, max_size=2))))
    taken_back = causes.map(lambda cause: cause._replace(rule="unknown_key"))
    uses.older = data.draw(st.dictionaries(taken_back, st.integers(1, 9), max_size=2))
    assert unpack(pack(uses)) == uses


def test_what_is_no_longer_kept_is_counted_only_where_it_may_be_taken_back() -> None:
    uses = Uses()
    for offset in range(KEPT + 5):
        unknown = Cause("unknown_key", "key", "pk_1", "")
        uses.add(offset, offset, (unknown, Cause("outside_change_window", "actor", f"actor-{offset}", "")))
    assert uses.older == {unknown: 5}


def test_the_key_not_used_for_longest_is_forgotten() -> None:
    uses = KeyUses(most=2)
    for offset, name in enumerate(("a", "b", "a", "c")):
        uses.note(name, UNKNOWN_KEY, offset, offset, ())
    assert uses.among(["a", "b", "c"]) == ["a", "c"]
    gone = [change for change in uses.take_changes() if change.value is None]
    assert [change.key for change in gone] == [b"uses/b"]
