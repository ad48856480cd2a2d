"""Events that their producers number, and what is found of the numbers that never came."""

from collections.abc import Iterable
from uuid import UUID

from reporting import HOUR, by_time, others, reports
from world import NOON, World, event

from keytrail.schemas.records import Anomaly, Event
from keytrail.stream.policies.policy import Policy

RULE = "sequence_holes"
RUN = "job:1"
SECOND = 1_000_000
BEGIN = NOON // HOUR


def numbered(
    numbers: Iterable[int], hour: float = 2, run: str = RUN, service: str = "job", **fields: object
) -> list[Event]:
    """Events of a run, a second after each other."""
    return [
        event(
            service=service,
            subject=f"s{number % 7}",
            occurred_at=int(NOON + hour * HOUR) + place * SECOND,
            producer_id=run,
            sequence=number,
            **fields,
        )
        for place, number in enumerate(numbers)
    ]


def loss(count: int, first: int, last: int, number: int, hour: float = 2.1, run: str = RUN) -> list[Event]:
    """As the SDK tells of one."""
    said = {"producer_id": run, "count": str(count), "first": str(first), "last": str(last), "why": "full"}
    return numbered([number], hour, action="audit_loss", outcome="failure", attributes=said)


def run_of(hour: int, service: str = "job") -> str:
    """The id that the SDK gives a run that begins then."""
    made = (BEGIN + hour) * HOUR // 1_000
    return f"{service}:{UUID(int=made << 80 | 7 << 76 | 2 << 62 | 5)}"


def flood(hours: Iterable[int], many: int, service: str = "job") -> list[Event]:
    """Runs that last a moment, so many an hour."""
    return [
        one
        for hour in hours
        for place in range(many)
        for one in numbered([1], hour + 0.5, f"run-{hour}-{place}", service)
    ]


def ticks(begin: int, end: int) -> list[Event]:
    """Two services that tell the time, not each hour."""
    return by_time(reports("iam", range(begin, end, 20)), reports("vault", range(begin, end, 20)))


def rows(world: World) -> dict[str, Anomaly]:
    return {a.entity: a for a in world.current().values() if a.rule == RULE}


def told(*some: Iterable[Event], policy: Policy | None = None, until: int = 20) -> dict[str, Anomaly]:
    world = World(policy=policy, clock=lambda: NOON + 10_000 * HOUR)
    world.send(*by_time(*some, others(until)), batch=100)
    return rows(world)


def counted(*some: Iterable[Event], batch: int = 2_000) -> dict[str, Anomaly]:
    """As `told`, where the events themselves tell the time."""
    world = World(clock=lambda: NOON + 10_000 * HOUR)
    world.send(*by_time(*some), batch=batch)
    return rows(world)
