"""Services that report each hour or now and then, for tests of rules that go by the events' time."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from world import DAY, NOON, SECOND, World, event

from keytrail.schemas.records import Anomaly, Event
from keytrail.stream.policies.policy import Policy

HOUR = 3600 * SECOND
LATER = NOON + 90 * DAY


def reports(service: str, hours: Iterable[float], **fields: object) -> list[Event]:
    return [event(service=service, occurred_at=int(NOON + hour * HOUR), **fields) for hour in hours]


def others(until: int) -> list[Event]:
    """Two services that tell the time, each hour."""
    return reports("vault", range(until + 1)) + reports("iam", range(until + 1))


def by_time(*some: Iterable[Event]) -> list[Event]:
    return sorted((one for each in some for one in each), key=lambda one: (one.occurred_at, one.event_id))


def ahead(events: Iterable[Event], hours: float) -> list[Event]:
    """As a service tells them whose clock is so far ahead."""
    return [replace(one, occurred_at=one.occurred_at + int(hours * HOUR)) for one in events]


def silences(events: Sequence[Event], policy: Policy | None = None) -> dict[str, Anomaly]:
    """Which services are missed, or were, where these events come."""
    world = World(policy=policy, clock=lambda: LATER)
    world.send(*events, batch=100)
    return {a.entity: a for a in world.current().values() if a.rule == "audit_silence"}
