"""The part of a policy's form that is about what should come and may not."""

from keytrail.stream.awaited.limits import ReviewLimits, SilenceLimits
from keytrail.stream.policies.composites import Field, Record
from keytrail.stream.policies.shapes import Decimal, Whole

_REVIEWS = Record(
    ReviewLimits,
    {"hours": Field(Whole(1, 2_160), "A break-glass use is to be reviewed within so many hours.")},
)

_SILENCE = Record(
    SilenceLimits,
    {
        "times": Field(
            Decimal(1, 100), "A service is missed after so many times its longest rest in four weeks."
        ),
        "least_hours": Field(Whole(1, 672), "But not before so many hours."),
        "known_days": Field(Whole(1, 27), "And only one that has reported for so many days."),
        "regular_reports": Field(
            Whole(2, 672), "In so many hours, at rests that are alike, makes it one that always reports."
        ),
        "busy_hours": Field(Whole(2, 672), "So does reporting in so many hours, however they lie."),
    },
)

AWAITED = {
    "reviews": Field(_REVIEWS, "How soon break-glass uses are to be reviewed."),
    "silence": Field(_SILENCE, "When a service that always reports is missed."),
}
