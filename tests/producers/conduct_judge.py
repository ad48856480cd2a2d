"""The naive judge of what keys do over all subjects: every event of every key in memory, in order of time."""

from collections import defaultdict
from collections.abc import Iterator

from keytrail.producers.simulation import Finding
from keytrail.schemas.records import Event, Key

_MINUTE = 60_000_000
_GIVES = {"grant", "issue_key", "update_trust"}
_TAKES = {"revoke", "revoke_key", "suspend_key"}


class ConductJudge:
    def __init__(self) -> None:
        self._events: dict[str, list[Event]] = defaultdict(list)
        self._keys: dict[str, Key] = {}

    def note(self, event: Event, key: Key) -> None:
        self._events[key.key_id].append(event)
        self._keys[key.key_id] = key

    def findings(self) -> set[Finding]:
        return {
            Finding(rule, "key", key_id, cause)
            for key_id, events in self._events.items()
            for rule, cause in _found(self._keys[key_id], sorted(events, key=lambda e: e.occurred_at))
        }


def _found(key: Key, events: list[Event]) -> Iterator[tuple[str, str]]:
    least = 500 if _GIVES & set(key.scope_actions) else 25
    if _most_within(10, [e for e in events if e.outcome == "success" and e.action in _GIVES]) >= least:
        yield "provisioning_burst", ""
    if _most_within(10, [e for e in events if e.outcome == "success" and _takes(e)]) >= least:
        yield "mass_revoke", ""


def _takes(event: Event) -> bool:
    of_account = (
        event.action == "delete" and event.role is None and event.subject not in (None, event.actor_id)
    )
    return event.action in _TAKES or of_account


def _most_within(minutes: int, events: list[Event]) -> int:
    at = [event.occurred_at // _MINUTE for event in events]
    return max((sum(end - minutes < other <= end for other in at) for end in set(at)), default=0)
