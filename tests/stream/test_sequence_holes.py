"""Numbers that producers gave and that never came: found over all partitions, by the events' time."""

from collections.abc import Iterable

from test_audit_silence import HOUR, by_time, others
from world import NOON, World, event

from keytrail.schemas.records import Anomaly, Event
from keytrail.stream.policies.policy import Policy

RUN = "job:1"


def numbered(numbers: Iterable[int], hour: float = 2, run: str = RUN, service: str = "job") -> list[Event]:
    """Events of a run, a second after each other."""
    return [
        event(
            service=service,
            subject=f"s{number % 7}",
            occurred_at=int(NOON + hour * HOUR) + place * 1_000_000,
            producer_id=run,
            sequence=number,
        )
        for place, number in enumerate(numbers)
    ]


def told(*some: Iterable[Event], policy: Policy | None = None, until: int = 20) -> dict[str, Anomaly]:
    world = World(policy=policy, clock=lambda: NOON + 100 * HOUR)
    world.send(*by_time(*some, others(until)), batch=100)
    return {a.entity: a for a in world.current().values() if a.rule == "sequence_holes"}


def test_numbers_that_never_came_are_one_finding_of_the_service() -> None:
    [found] = told(numbered([1, 2, 3, 7, 8, 11])).values()
    assert (found.entity_type, found.entity, found.status, found.severity) == (
        "service",
        "job",
        "open",
        "high",
    )
    assert found.count == 5
    assert (found.details["run"], found.details["first"], found.details["last"]) == (RUN, "4", "10")
    assert found.first_seen == found.last_seen == (NOON // HOUR + 2) * HOUR
