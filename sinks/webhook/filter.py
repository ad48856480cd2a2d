"""Which findings a webhook is sent."""

from collections.abc import Collection
from dataclasses import dataclass, field

from keytrail.schemas.records import Anomaly

_SEVERITIES = ("low", "medium", "high", "critical")
_QUIET = ("suppressed", "acknowledged")


@dataclass(frozen=True)
class Wanted:
    """`severity` is the least one; no rules: all.  A word that this version does not know is sent.

    What is suppressed or acknowledged is not: somebody answers for it.
    """

    severity: str = "low"
    rules: Collection[str] = field(default=())

    def accepts(self, anomaly: Anomaly) -> bool:
        return (
            anomaly.status not in _QUIET
            and _rank(anomaly.severity) >= _rank(self.severity)
            and (not self.rules or anomaly.rule in self.rules)
        )


def _rank(severity: str) -> int:
    return _SEVERITIES.index(severity) if severity in _SEVERITIES else len(_SEVERITIES)
