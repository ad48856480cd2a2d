"""The naive judge of what keys do over all subjects: every event of every key in memory, in order of time."""

import itertools
import math
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator

from keytrail.producers.simulation import Finding
from keytrail.schemas.records import Event, Key

_MINUTE = 60_000_000
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_GIVES = {"grant", "issue_key", "update_trust"}
_TAKES = {"revoke", "revoke_key", "suspend_key"}


class ConductJudge:
    def __init__(self) -> None:
        self._events: dict[str, list[Event]] = defaultdict(list)
        self._keys: dict[str, Key] = {}
        self._since = sys.maxsize

    def note(self, event: Event, key: Key) -> None:
        self._since = min(self._since, event.occurred_at)
        self._events[key.key_id].append(event)
        self._keys[key.key_id] = key

    def findings(self) -> set[Finding]:
        return {
            Finding(rule, "key", key_id, cause)
            for key_id, events in self._events.items()
            for rule, cause in _found(
                self._keys[key_id], sorted(events, key=lambda e: e.occurred_at), self._since
            )
        }


def _found(key: Key, events: list[Event], since: int) -> Iterator[tuple[str, str]]:
    least = 500 if _GIVES & set(key.scope_actions) else 25
    if _most_within(10, [e for e in events if e.outcome == "success" and e.action in _GIVES]) >= least:
        yield "provisioning_burst", ""
    if _most_within(10, [e for e in events if e.outcome == "success" and _takes(e)]) >= least:
        yield "mass_revoke", ""
    for action in {event.action for event in events}:
        if _let_in([event for event in events if event.action == action]):
            yield "denials_then_success", action
    yield from _by_days(key, events, since)
    by_day: dict[int, set[str]] = defaultdict(set)
    for event in events:
        by_day[event.occurred_at // _DAY].add(event.actor_id)
    if max(len(actors) for actors in by_day.values()) > 2:
        yield "shared_key", ""
    if key.kind == "human":
        for actor in {event.actor_id for event in events}:
            if _travels(event for event in events if event.actor_id == actor):
                yield "impossible_travel", actor
    hours = {event.occurred_at // _HOUR for event in events}
    if key.kind == "human" and max(sum(h - 24 < other <= h for other in hours) for h in hours) >= 20:
        yield "automation_cadence", ""


def _travels(events: Iterable[Event]) -> bool:
    """Between any two uses of one actor with one key."""
    placed = [event for event in events if "location" in event.attributes]
    for one, other in itertools.combinations(placed, 2):
        periods = abs(one.occurred_at // (10 * _MINUTE) - other.occurred_at // (10 * _MINUTE)) + 1
        km = _km(one.attributes["location"], other.attributes["location"])
        if km >= 300 and km / (periods / 6) > 1_000:
            return True
    return False


def _km(one: str, other: str) -> float:
    """Along the surface, from the angle between the two as vectors."""
    (north, east), (other_north, other_east) = (
        [math.radians(float(degrees)) for degrees in place.split(",")] for place in (one, other)
    )
    cosine = math.sin(north) * math.sin(other_north)
    cosine += math.cos(north) * math.cos(other_north) * math.cos(east - other_east)
    return 6_371 * math.acos(min(1.0, cosine))


def _let_in(events: list[Event]) -> bool:
    """Of one action: ten refusals in half an hour, and a success in the half hour after them."""
    refused = [e.occurred_at // _MINUTE for e in events if _is_refusal(e)]
    let_in = [e.occurred_at // _MINUTE for e in events if e.outcome == "success"]
    return any(
        sum(end - 30 < minute <= end for minute in refused) >= 10
        and any(end <= minute <= end + 30 for minute in let_in)
        for end in refused
    )


def _is_refusal(event: Event) -> bool:
    return event.outcome == "denied" or (event.action == "login" and event.outcome == "failure")


def _by_days(key: Key, events: list[Event], since: int) -> Iterator[tuple[str, str]]:
    days = sorted({event.occurred_at // _DAY for event in events})
    rests = [later - day for day, later in itertools.pairwise(days)]
    if key.issued_at >= since:
        rests.append(days[0] - key.issued_at // _DAY)
    if not key.break_glass and any(rest >= 90 for rest in rests):
        yield "dormant_key_awakes", ""
    networks: set[str] = set()
    for event in events:
        if event.source_ip is None or key.scope_networks:
            continue
        network = event.source_ip.rpartition(".")[0] + ".0/24"  # there is no IPv6 in the simulation
        day = event.occurred_at // _DAY
        if network not in networks and day - days[0] >= 14 and sum(d < day for d in days) >= 5:
            yield "new_network", network
        networks.add(network)


def _takes(event: Event) -> bool:
    of_account = (
        event.action == "delete" and event.role is None and event.subject not in (None, event.actor_id)
    )
    return event.action in _TAKES or of_account


def _most_within(minutes: int, events: list[Event]) -> int:
    at = [event.occurred_at // _MINUTE for event in events]
    return max((sum(end - minutes < other <= end for other in at) for end in set(at)), default=0)
