"""Impossible travel: one actor used a person's key at two places, too soon to have got from one to the other.

Formula, for two uses, refused or not, by one actor with one key of a person, at places d km apart, with m the
full ten minutes (UTC) from the one to the other, and ten more, so that no journey is taken for shorter than
it was:

    d >= travel.least_km  and  d / (m / 60 min) > travel.speed_kmh

The place is what the event states in its attribute `location` ("52.52,13.40", degrees), or else where the
policy says that its network is (`travel.places`); without either nothing is found, and nobody else is asked.
The count is the highest speed in km/h, and a finding's times are begins of ten minutes. One finding a key and
actor. False positives: networks through which people go who are elsewhere, such as a VPN's exit (leave them
out of `travel.places`), and mobile carriers. Services may run at two places: their keys are left out.
ATT&CK T1078 (Valid Accounts). Source of the idea: impossible-travel alerts of identity providers (Microsoft
Entra, Okta).
"""

from collections.abc import Iterator
from shlex import quote

from keytrail.stream.conduct.conduct import Conduct
from keytrail.stream.conduct.limits import TravelLimits
from keytrail.stream.conduct.stays import Journey, Stays
from keytrail.stream.conduct.tallies import HOUR, STAY
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.policies.places import km_between, name_of
from keytrail.stream.policies.policy import Policy

RULE = Rule("impossible_travel", 1, "act", "high", "T1078", measure="peak")


def judge(conduct: Conduct, policy: Policy) -> Iterator[Verdict]:
    name = conduct.key_id
    for actor, stays in conduct.stays.items():
        fast = _impossible(stays, policy.travel)
        if not fast:
            continue
        most = max(fast, key=lambda journey: (_speed(journey), -journey.left.occurred_at))
        km = round(km_between(most.origin, most.goal))
        places = f"{name_of(most.origin)} and {name_of(most.goal)}"
        yield Verdict(
            RULE,
            "key",
            name,
            actor,
            f"{actor} used key {name} at {places}, {km} km apart, within {most.periods * 10} minutes.",
            f"Ask {actor} where they were; unless they can explain it: keytrail keys suspend {quote(name)} "
            "--reason 'used at two places at once'.",
            details={"owner": conduct.owner, "km": str(km), "km_per_hour": str(_speed(most))},
            evidence=(most.left, most.arrived),
            count=_speed(most),
            since=min(journey.begin for journey in fast) * STAY,
            until=max(journey.end for journey in fast) * STAY,
        )


def _impossible(stays: Stays, limits: TravelLimits) -> list[Journey]:
    return [
        journey
        for journey in stays.journeys()
        if km_between(journey.origin, journey.goal) >= limits.least_km and _speed(journey) > limits.speed_kmh
    ]


def _speed(journey: Journey) -> int:
    """In km/h."""
    return round(km_between(journey.origin, journey.goal) * HOUR / (journey.periods * STAY))
