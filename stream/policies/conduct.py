"""The part of a policy's form that is about what one key does."""

from operator import attrgetter

from keytrail.stream.conduct.limits import (
    BurstLimits,
    CadenceLimits,
    DormancyLimits,
    NetworkLimits,
    RefusalLimits,
    SharingLimits,
    TravelLimits,
)
from keytrail.stream.conduct.minutes import LONGEST_WINDOW
from keytrail.stream.policies.composites import Field, Record, Several
from keytrail.stream.policies.places import Place
from keytrail.stream.policies.shapes import Decimal, Network, Text, Whole

_BURST = Record(
    BurstLimits,
    {
        "given": Field(Whole(2, 100_000), "So many grants and issued keys by one key are a burst."),
        "taken": Field(Whole(2, 100_000), "So many revocations by one key are a mass revocation."),
        "by_provisioners": Field(
            Whole(2, 1_000_000), "The same for keys whose scope names grants, for both of them."
        ),
        "minutes": Field(Whole(1, LONGEST_WINDOW), "Within so many minutes."),
    },
)

_REFUSALS = Record(
    RefusalLimits,
    {
        "least": Field(Whole(2, 100_000), "So many refusals and then a success are a finding."),
        "minutes": Field(Whole(1, LONGEST_WINDOW), "Within so many minutes; the success as soon after them."),
    },
)

_DORMANCY = Record(
    DormancyLimits, {"days": Field(Whole(2, 3_650), "A key that was not used for so many days is dormant.")}
)

_NETWORKS = Record(
    NetworkLimits,
    {
        "days": Field(Whole(1, 365), "A key must have been in use for so many days before a network is new."),
        "days_of_use": Field(Whole(1, 60), "It must have been used on so many of them."),
    },
)

_SHARING = Record(
    SharingLimits,
    {
        "actors": Field(Whole(1, 15), "So many actors may use one key on one day."),
        "expected": Field(Several(Text("a key's pattern", "kiosk-*")), "Keys that are for many."),
    },
)

_CADENCE = Record(
    CadenceLimits,
    {
        "hours": Field(
            Whole(2, 24), "A person's key that is used in so many of 24 hours has a program behind it."
        )
    },
)

_PLACE = Record(
    Place,
    {
        "name": Field(Text("a place", "Berlin"), "What the place is called in findings.", True),
        "networks": Field(Several(Network(), 1), "The networks that are there, in CIDR notation.", True),
        "latitude": Field(Decimal(-90, 90), "In degrees; north is above 0.", True),
        "longitude": Field(Decimal(-180, 180), "In degrees; east is above 0.", True),
    },
)

_TRAVEL = Record(
    TravelLimits,
    {
        "speed_kmh": Field(Whole(1, 100_000), "Nobody travels faster than so many km/h."),
        "least_km": Field(Whole(1, 20_000), "Places that are nearer to each other than this are as one."),
        "places": Field(Several(_PLACE, name_of=attrgetter("name")), "Where networks are."),
    },
)

CONDUCT = {
    "burst": Field(_BURST, "When one key changes access too often."),
    "refusals": Field(_REFUSALS, "When a key was refused often, and then let in."),
    "dormancy": Field(_DORMANCY, "When a key has lain unused for long."),
    "networks": Field(_NETWORKS, "When the networks of a key are known."),
    "sharing": Field(_SHARING, "When one key has too many users."),
    "cadence": Field(_CADENCE, "When a person's key is used by a program."),
    "travel": Field(_TRAVEL, "When a person's key is used at two places too soon."),
}
