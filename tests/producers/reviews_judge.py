"""The naive judge of break-glass uses that nobody reviews: every use and review in memory."""

from collections import defaultdict
from collections.abc import Iterator

from keytrail.producers.simulation import Finding
from keytrail.schemas.records import Event, Key

_HOUR = 3_600_000_000


class ReviewsJudge:
    def __init__(self) -> None:
        self._latest: dict[str, int] = {}
        self._uses: dict[str, list[int]] = defaultdict(list)
        self._reviews: dict[str, list[int]] = defaultdict(list)

    def note(self, event: Event, key: Key | None) -> None:
        hour = event.occurred_at // _HOUR
        self._latest[event.service] = max(hour, self._latest.get(event.service, hour))
        if key is None:
            return
        if key.break_glass:
            self._uses[key.key_id].append(event.occurred_at)
        if event.action == "close_finding" and event.action in key.scope_actions:
            self._reviews[event.attributes["keytrail.finding.entity"]].append(event.occurred_at)

    def findings(self) -> Iterator[Finding]:
        complete = (sorted(self._latest.values())[-2:][0] - 2) * _HOUR
        for key_id, uses in self._uses.items():
            for use in uses:
                end = use + 24 * _HOUR
                if end < complete and not any(use <= at <= end for at in self._reviews[key_id]):
                    yield Finding("break_glass_unreviewed", "key", key_id, "")
