import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from collecting import Collecting
from event_strategies import any_json, any_text
from hypothesis import given, settings
from hypothesis import strategies as st
from waiting import wait_until

from keytrail.producers import AuditTrail, DeliveryError, TrailStats
from keytrail.producers.statement import UNREADABLE
from keytrail.producers.trail import AUDIT_LOSS
from keytrail.schemas.errors import UnavailableError, UsageError
from keytrail.schemas.records import Event, Micros


class Stopped(Collecting):
    """Full until it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Event()
        self.asked = threading.Event()

    def publish(self, record: Event) -> bool:
        self.asked.set()
        return self.open.is_set() and super().publish(record)


class AwayAtFirst(Collecting):
    def __init__(self) -> None:
        super().__init__()
        self.away = 1

    def publish(self, record: Event) -> bool:
        if self.away:
            self.away -= 1
            raise UnavailableError("The registry is away.")
        return super().publish(record)


class RefusingOne(Collecting):
    def publish(self, record: Event) -> bool:
        if record.action == "refused":
            raise RuntimeError("no")
        return super().publish(record)


class LosingAtFlush(Collecting):
    """Accepts, and finds out only afterwards that the first was not delivered."""

    def flush(self, timeout_s: float) -> int:
        if self.events and self.events[0].action == "login":
            del self.events[0]
            raise DeliveryError("keytrail.events", 1, "timed out")
        return 0


def losses(events: list[Event]) -> list[Event]:
    return [event for event in events if event.action == AUDIT_LOSS]


def others(events: list[Event]) -> list[Event]:
    return [event for event in events if event.action != AUDIT_LOSS]


def test_an_event_says_all_that_was_given() -> None:
    outlet = Collecting()
    with AuditTrail(
        "billing", "production", outlet=outlet, clock=lambda: Micros(7), new_id=lambda: "id"
    ) as trail:
        trail.grant(
            "bob",
            "admin",
            key="key-1",
            actor="anna",
            actor_type="service",
            permissions=("read", "write"),
            reason="on call",
            ticket="OPS-1",
            approved_by="carl",
            expires_at=datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
            before={"roles": []},
            after={"roles": ["admin"]},
            attributes={"team": "sre"},
        )

    assert outlet.events == [
        Event(
            event_id="id",
            occurred_at=Micros(7),
            recorded_at=Micros(7),
            service="billing",
            environment="production",
            actor_id="anna",
            actor_type="service",
            key_id="key-1",
            key_alias=None,
            action="grant",
            subject="bob",
            role="admin",
            permissions=["read", "write"],
            reason="on call",
            ticket="OPS-1",
            approved_by="carl",
            expires_at=Micros(1_000_000),
            before='{"roles": []}',
            after='{"roles": ["admin"]}',
            attributes={"team": "sre"},
            producer_id="billing:id",
            sequence=1,
        )
    ]


def test_each_method_records_its_action() -> None:
    outlet = Collecting()
    with AuditTrail("billing", outlet=outlet) as trail:
        for method in (trail.grant, trail.revoke, trail.approve, trail.deny):
            method("bob", "admin", key=None, actor="anna")
        for method in (trail.create, trail.update, trail.delete, trail.update_trust):
            method("bob", key=None, actor="anna")
        for method in (trail.issue_key, trail.rotate_key, trail.suspend_key, trail.revoke_key):
            method("bob", key=None, actor="anna")
        trail.use("admin", key=None, actor="anna", resource="db/1")
        trail.login(key=None, actor="anna")
        trail.record("elevate", key=None, actor="anna")

    acts = " ".join(event.action for event in outlet.events)
    assert acts == (
        "grant revoke approve deny create update delete update_trust "
        "issue_key rotate_key suspend_key revoke_key use login elevate"
    )


def test_threads_get_one_sequence_without_holes() -> None:
    outlet = Collecting()
    trail = AuditTrail("billing", outlet=outlet)

    def work() -> None:
        for _ in range(500):
            trail.login(key=None, actor="anna")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert trail.close(60) == 0
    assert [event.sequence for event in outlet.events] == list(range(1, 2001))
    assert len({event.event_id for event in outlet.events}) == 2000
    assert {event.producer_id for event in outlet.events} == {trail.producer_id}
    assert trail.lost == 0


def test_what_finds_no_room_is_counted_and_told_and_leaves_a_hole() -> None:
    outlet = Stopped()
    trail = AuditTrail("billing", outlet=outlet, capacity=2)
    trail.login(key=None, actor="anna")
    assert outlet.asked.wait(60)
    for _ in range(4):
        trail.login(key=None, actor="anna")
    assert trail.lost == 3

    outlet.open.set()
    wait_until(lambda: losses(outlet.events))
    trail.login(key=None, actor="anna")

    assert trail.close(60) == 0
    # The oldest go, but for what is under way.
    assert [event.sequence for event in outlet.events] == [1, 5, 6, 7]
    [told] = losses(outlet.events)
    assert told.attributes == {
        "producer_id": trail.producer_id,
        "count": "3",
        "first": "2",
        "last": "4",
        "why": "too many events waited for Kafka",
    }
    assert trail.stats() == TrailStats(7, 4, 0, 0, 3, 0.0, 0, 0)


def test_bytes_that_wait_are_bounded_too() -> None:
    outlet = Stopped()
    trail = AuditTrail("billing", outlet=outlet, queue_bytes=1_000_000)
    for _ in range(100):
        trail.login(key=None, actor="anna", after="x" * 100_000)
    waiting = trail.stats().waiting
    assert 5 <= waiting <= 60
    assert trail.lost == 100 - waiting

    outlet.open.set()
    assert trail.close(60) == 0
    assert len(others(outlet.events)) == waiting


def test_a_large_event_takes_the_place_of_many_small_ones() -> None:
    outlet = Stopped()
    trail = AuditTrail("billing", outlet=outlet, queue_bytes=1_000_000)
    trail.login(key=None, actor="anna")
    assert outlet.asked.wait(60)
    for _ in range(1_000):
        trail.login(key=None, actor="anna")
    assert trail.lost == 0
    trail.login(key=None, actor="anna", after="x" * 800_000)
    assert 500 < trail.lost < 1_000

    outlet.open.set()
    assert trail.close(60) == 0
    stats = trail.stats()
    assert stats.recorded == stats.delivered + stats.lost


def test_events_wait_while_the_pipeline_is_away() -> None:
    outlet = AwayAtFirst()
    trail = AuditTrail("billing", outlet=outlet)
    trail.login(key=None, actor="anna")
    trail.login(key=None, actor="bob")

    assert trail.close(60) == 0
    assert [event.actor_id for event in outlet.events] == ["anna", "bob"]
    assert trail.lost == 0


def test_one_refused_event_does_not_stop_the_others() -> None:
    outlet = RefusingOne()
    trail = AuditTrail("billing", outlet=outlet)
    trail.record("refused", key=None, actor="anna")
    trail.login(key=None, actor="bob")

    assert trail.close(60) == 0
    assert [event.actor_id for event in others(outlet.events)] == ["bob"]
    assert [event.attributes["first"] for event in losses(outlet.events)] == ["1"]
    assert trail.lost == 1


def test_closing_ends_at_its_deadline_and_says_what_is_left() -> None:
    outlet = Stopped()
    trail = AuditTrail("billing", outlet=outlet)
    trail.login(key=None, actor="anna")
    trail.login(key=None, actor="bob")

    assert trail.close(deadline_s=0.2) == 2
    assert trail.close(deadline_s=0.2) == 0
    trail.login(key=None, actor="carl")
    assert trail.lost == 3


def test_failed_deliveries_are_counted() -> None:
    outlet = LosingAtFlush()
    trail = AuditTrail("billing", outlet=outlet)
    trail.login(key=None, actor="anna")
    trail.close(60)
    assert trail.lost == 1
    assert [event.attributes["why"] for event in outlet.events] == [
        "1 records for keytrail.events were not delivered: timed out."
    ]


class Raising:
    """Misbehaves in every way a caller's value can."""

    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__
    __iter__ = __str__  # type: ignore[assignment]


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            [
                *("subject", "role", "actor_type", "permissions", "reason", "expires_at", "occurred_at"),
                *("outcome", "error", "before", "after", "attributes", "source_ip", "trace_id"),
            ]
        ),
        any_json | st.builds(Raising) | st.builds(object) | any_text,
    ),
    any_json | st.builds(Raising),
)
def test_no_value_makes_recording_raise(details: dict[str, Any], other: Any) -> None:
    outlet = Collecting()
    trail = AuditTrail("billing", outlet=outlet)

    trail.record(other, key=other, actor=other, **details)

    assert trail.close(60) == 0
    assert [event.sequence for event in outlet.events] == [1]


def test_a_time_that_is_none_is_left_out_and_named() -> None:
    outlet = Collecting()
    with AuditTrail("billing", outlet=outlet, clock=lambda: Micros(7)) as trail:
        naive = datetime(2026, 1, 1)  # noqa: DTZ001  # what a caller gets wrong
        trail.login(key=None, actor="anna", occurred_at=naive, expires_at="soon")  # type: ignore[arg-type]

    assert outlet.events[0].occurred_at == 7
    assert outlet.events[0].attributes == {UNREADABLE: "occurred_at,expires_at"}


def test_the_callers_own_values_may_change_afterwards() -> None:
    outlet = Collecting()
    permissions, attributes = ["read"], {"team": "sre"}
    with AuditTrail("billing", outlet=outlet) as trail:
        trail.login(key=None, actor="anna", permissions=permissions, attributes=attributes)
        permissions.clear()
        attributes.clear()

    assert (outlet.events[0].permissions, outlet.events[0].attributes) == (["read"], {"team": "sre"})


@pytest.mark.parametrize(("service", "capacity"), [("", 1), ("billing", 0)])
def test_misuse_shows_at_construction(service: str, capacity: int) -> None:
    with pytest.raises(UsageError):
        AuditTrail(service, capacity=capacity, outlet=Collecting())
