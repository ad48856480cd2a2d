"""A naive judge of what keys gave and what outlived them: every grant and departure in memory."""

import sys
from dataclasses import dataclass

from keytrail.producers.simulation import Finding
from keytrail.schemas.records import Event, Key

_WEEK = 7 * 24 * 3600 * 1_000_000


@dataclass
class _Held:
    key: Key
    since: int
    until: int = sys.maxsize


class GrantsJudge:
    """`keys` are by every name of theirs."""

    def __init__(self, keys: dict[str, Key]) -> None:
        self._keys = keys
        self._history: dict[str, list[Event]] = {}
        self._latest = 0

    def note(self, event: Event) -> None:
        self._latest = max(self._latest, event.occurred_at)
        if event.outcome == "success" and event.action in {"grant", "revoke", "delete"}:
            self._history.setdefault(event.whose, []).append(event)

    def findings(self) -> set[Finding]:
        for events in self._history.values():
            events.sort(key=lambda event: (event.occurred_at, event.event_id))
        found = set()
        for events in self._history.values():
            for held in self._held(events):
                for cause in self._causes(held):
                    found.add(Finding("orphaned_access", "key", held.key.key_id, cause))
        return found

    def _held(self, events: list[Event]) -> list[_Held]:
        """Each time that a role was held by the grant of a known key."""
        every: list[_Held] = []
        open_by_role: dict[str, _Held] = {}
        for event in events:
            is_all = event.action == "delete" and event.role is None and event.subject != event.actor_id
            for role in list(open_by_role) if is_all else [event.role or ""]:
                if event.action != "delete" or is_all:
                    ended = open_by_role.pop(role, None)
                    if ended is not None:
                        ended.until = event.occurred_at
            key = self._keys.get(event.key_id or event.key_alias or "")
            if event.action == "grant" and event.role is not None and key is not None:
                open_by_role[event.role] = _Held(key, event.occurred_at)
                every.append(open_by_role[event.role])
        return every

    def _causes(self, held: _Held) -> list[str]:
        ends = []
        revoked = held.key.revoked_at
        if revoked is not None and held.key.reason in {"compromised", "leaked"}:
            ends.append((revoked, sys.maxsize, "compromised"))
        elif revoked is not None and held.key.successor is None and held.since >= revoked - _WEEK:
            ends.append((revoked, sys.maxsize, "revoked"))
        ends += [(at, until, "owner left") for at, until in self._away(held.key) if held.since >= at - _WEEK]
        ends = sorted(end for end in ends if max(end[0], held.since) <= min(self._latest, held.until, end[1]))
        return [cause for n, (_, _, cause) in enumerate(ends) if n == 0 or cause == "compromised"]

    def _away(self, key: Key) -> list[tuple[int, int]]:
        """From when to when the key's owner was gone."""
        away: list[tuple[int, int]] = []
        for event in self._history.get(key.owner, ()):
            if event.action == "delete" and event.role is None and event.subject != event.actor_id:
                away.append((event.occurred_at, sys.maxsize))
            elif event.action == "grant" and away and away[-1][1] == sys.maxsize:
                away[-1] = away[-1][0], event.occurred_at
        return away
