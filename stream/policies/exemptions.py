"""Exceptions of a policy: findings that somebody answers for, until a day."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from keytrail.schemas.records import Micros
from keytrail.stream.findings.findings import Finding
from keytrail.stream.policies.patterns import matches_any
from keytrail.stream.policies.policy import Exemption

NEVER: Micros = 2**63 - 1


@lru_cache(maxsize=1024)
def ends(exemption: Exemption) -> Micros:
    """The midnight, UTC, at the end of its last day."""
    day = datetime.fromisoformat(exemption.until).replace(tzinfo=UTC) + timedelta(days=1)
    return int(day.timestamp()) * 1_000_000


def exemption_of(finding: Finding, exemptions: Sequence[Exemption], now: Micros) -> Exemption | None:
    """The first that covers the finding and holds now."""
    for exemption in exemptions:
        if exemption.rule == finding.rule and now < ends(exemption) and _covers(exemption, finding):
            return exemption
    return None


def told_with(exemption: Exemption) -> dict[str, str]:
    """What a finding that it covers has among its details."""
    return {
        "exception_owner": exemption.owner,
        "exception_reason": exemption.reason,
        "exception_until": exemption.until,
    }


def named(exemption: Exemption) -> str:
    """Of another owner, reason or last day it is another exception, which is told anew."""
    return "\n".join(told_with(exemption).values())


def lapsed_exemption(finding: Finding, exemptions: Sequence[Exemption], now: Micros) -> Exemption | None:
    """Of those that are over and covered the finding, the one that ended last; None where another holds."""
    if exemption_of(finding, exemptions, now) is not None:
        return None
    over = [one for one in exemptions if one.rule == finding.rule and _covers(one, finding)]
    return max(over, key=ends, default=None)


def next_end(exemptions: Sequence[Exemption], now: Micros) -> Micros:
    """When the next of them is over; `NEVER` where none is to come."""
    return min((end for end in map(ends, exemptions) if end > now), default=NEVER)


def _covers(exemption: Exemption, finding: Finding) -> bool:
    return matches_any((exemption.entity,), finding.entity) and matches_any((exemption.cause,), finding.cause)
