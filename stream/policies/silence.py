"""The part of a policy's form that is about services that report no more."""

from keytrail.stream.policies.composites import Field, Record
from keytrail.stream.policies.shapes import Decimal, Whole
from keytrail.stream.silence.limits import SilenceLimits

SILENCE = Record(
    SilenceLimits,
    {
        "times": Field(
            Decimal(1, 100), "A service is missed after so many times its longest rest in four weeks."
        ),
        "least_hours": Field(Whole(1, 671), "But not before so many hours."),
        "known_days": Field(Whole(1, 27), "And only one that has reported for so many days."),
        "regular_reports": Field(
            Whole(2, 672), "In so many hours, at rests that are alike, makes it one that always reports."
        ),
        "busy_hours": Field(Whole(2, 672), "So does reporting in so many hours, however they lie."),
    },
)
