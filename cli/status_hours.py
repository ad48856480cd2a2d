"""What `keytrail status` says of the rules that wait until all partitions are past an hour."""

from collections.abc import Iterator
from datetime import UTC, datetime

from keytrail.schemas.topics import EVENTS
from keytrail.sinks.hours import Holding, JudgedHours

_RULES = "audit_silence, break_glass_unreviewed, dormant_privileged_key and sequence_holes"


def lines(hours: JudgedHours) -> Iterator[str]:
    """For a person."""
    if hours.judged is None:
        yield f"{_RULES} have judged nothing yet."
    else:
        yield f"{_RULES} have judged what was before {_text(hours.judged)} UTC."
    if hours.furthest is None:
        yield "No two services have reported in one partition: there is nobody to tell whether one is silent."
        return
    yield from (_holding(holding, hours.furthest) for holding in hours.holding)


def row(hours: JudgedHours) -> dict[str, object]:
    """For a program."""
    return {
        "judged_before": _iso(hours.judged),
        "furthest": _iso(hours.furthest),
        "held_back_by": [
            {"partition": holding.partition, "reached": _iso(holding.reached)} for holding in hours.holding
        ],
    }


def _holding(holding: Holding, furthest: int) -> str:
    place = f"Partition {holding.partition} of {EVENTS.name} holds them back"
    if holding.reached is None:
        return f"{place}: two services have never reported there."
    since = f"no two services have reported there since the hour of {_text(holding.reached)} UTC"
    return f"{place}: {since}, {furthest - holding.reached} hours behind the furthest."


def _text(hour: int) -> str:
    return f"{datetime.fromtimestamp(hour * 3600, UTC):%Y-%m-%d %H:%M}"


def _iso(hour: int | None) -> str | None:
    return None if hour is None else datetime.fromtimestamp(hour * 3600, UTC).isoformat()
