"""One key in two places: too soon to have got from one to the other, and near misses."""

import pytest
from test_habits import found, use, world

from keytrail.schemas.records import Event, Occurrence
from keytrail.stream.conduct.limits import TravelLimits
from keytrail.stream.conduct.stays import Stays
from keytrail.stream.conduct.tallies import STAY
from keytrail.stream.policies.places import Place, km_between
from keytrail.stream.policies.policy import Policy

RULE = "impossible_travel"
BERLIN, TOKYO = "52.52,13.40", "35.68,139.69"


def at(place: str, hours: float, **fields: object) -> Event:
    return use(hours / 24, attributes={"location": place}, **fields)


def test_nobody_is_in_berlin_and_within_the_hour_in_tokyo() -> None:
    journey = [at(BERLIN, 0), at(TOKYO, 1)]
    [anomaly] = found(world(*journey), RULE)
    assert (anomaly.entity, anomaly.cause) == ("pk_1", "bob")
    assert anomaly.evidence == [one.event_id for one in journey]
    assert anomaly.details["km"] == "8917"
    assert anomaly.count == round(8_917 / (70 / 60)), "the hour may have been ten minutes longer"
    assert found(world(*reversed(journey)), RULE) != [], "in whichever order it comes"
    assert found(world(at(BERLIN, 0), at(TOKYO, 1, outcome="denied")), RULE) != []


def test_a_flight_a_town_a_service_and_two_people_are_no_impossible_travel() -> None:
    near_misses = {
        "a flight": world(at(BERLIN, 0), at(TOKYO, 14)),
        "the next town": world(at(BERLIN, 0), at("52.39,13.06", 0)),
        "a service": world(at(BERLIN, 0), at(TOKYO, 1), kind="service"),
        "two people": world(at(BERLIN, 0), at(TOKYO, 1, actor_id="ann")),
        "no place": world(at(BERLIN, 0), at("Tokyo", 1), at("91,0", 1), at("35.68", 1), use(0)),
    }
    assert [name for name, one in near_misses.items() if found(one, RULE)] == []


def test_the_policy_says_where_networks_are_and_the_narrowest_counts() -> None:
    places = (
        Place("Berlin", ("198.51.0.0/16", "2001:db8::/32"), 52.52, 13.4),
        Place("Tokyo", ("198.51.100.0/24",), 35.68, 139.69),
    )
    policy = Policy(travel=TravelLimits(places=places))
    journey = [use(0, source_ip="198.51.7.1"), use(1 / 24, source_ip="198.51.100.7")]
    [anomaly] = found(world(*journey, policy=policy), RULE)
    assert "at Berlin and Tokyo, 8917 km apart" in anomaly.summary
    assert found(world(*journey), RULE) == []
    near = [use(0, source_ip=ip) for ip in ("198.51.7.1", "2001:db8::1", "no address", "203.0.113.1")]
    assert found(world(*near, policy=policy), RULE) == []
    stated = at(BERLIN, 1, source_ip="198.51.100.7")
    assert found(world(journey[0], stated, policy=policy), RULE) == [], "what is stated goes first"


def test_distances_are_those_on_a_sphere() -> None:
    assert km_between("0.0,0.0", "0.0,180.0") == pytest.approx(20_015, abs=1)
    assert km_between("90.0,10.0 Pole", "90.0,-120.0") == pytest.approx(0, abs=1)
    assert km_between("51.5,-0.1", "40.7,-74.0") == pytest.approx(5_570, abs=10)


def test_a_nearer_use_that_comes_late_takes_no_time_off_what_was_seen() -> None:
    stays = Stays()
    stays.add(BERLIN, Occurrence(0, "a"))
    stays.add(TOKYO, Occurrence(STAY, "b"))
    assert [(one.begin, one.end) for one in stays.journeys()] == [(0, 1), (0, 1)]
    stays.add(TOKYO, Occurrence(1, "c"))
    assert {(one.begin, one.end) for one in stays.journeys()} == {(0, 0), (0, 1)}
