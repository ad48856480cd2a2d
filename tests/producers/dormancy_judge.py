"""The naive judge of privileged keys that lie unused: every day of use in memory."""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator

from keytrail.producers.simulation import Finding
from keytrail.schemas.records import Event, Key

_HOUR = 3_600_000_000
_DAY = 24 * _HOUR


class DormancyJudge:
    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys = {key.key_id: key for key in keys if _is_privileged(key) and not key.break_glass}
        self._days: dict[str, set[int]] = defaultdict(set)
        self._latest: dict[str, int] = {}
        self._first: int | None = None

    def note(self, event: Event, key: Key | None) -> None:
        hour = event.occurred_at // _HOUR
        self._first = hour if self._first is None else min(self._first, hour)
        self._latest[event.service] = max(hour, self._latest.get(event.service, hour))
        if key is not None:
            self._days[key.key_id].add(event.occurred_at // _DAY)

    def findings(self) -> Iterator[Finding]:
        end = (sorted(self._latest.values())[-2:][0] - 2) // 24
        for key_id, key in self._keys.items():
            begin = max((self._first or 0) // 24, key.issued_at // _DAY)
            ends = (key.revoked_at, key.expires_at, key.suspended_at)
            over = min((at for at in ends if at is not None), default=(end + 1) * _DAY)
            days = sorted({begin, end, *(day for day in self._days[key_id] if begin <= day <= end)})
            for day, later in itertools.pairwise(days):
                if later - day >= 90 and (day + 90) * _DAY < over:
                    yield Finding("dormant_privileged_key", "key", key_id, "")
                    break


def _is_privileged(key: Key) -> bool:
    """As the simulation writes scopes."""
    if key.scope_roles:
        return any("admin" in role for role in key.scope_roles)
    return any(action in key.scope_actions for action in ("grant", "issue_key", "update_trust"))
