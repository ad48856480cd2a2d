"""The part of a policy's form that is about reviews of break-glass uses."""

from keytrail.stream.policies.composites import Field, Record
from keytrail.stream.policies.shapes import Whole
from keytrail.stream.reviews.limits import ReviewLimits

REVIEWS = Record(
    ReviewLimits,
    {"hours": Field(Whole(1, 2160), "A break-glass use is to be reviewed within so many hours.")},
)
