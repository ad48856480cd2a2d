"""The part of a policy's form that is about the numbers of producers."""

from keytrail.stream.policies.composites import Field, Record
from keytrail.stream.policies.shapes import Whole
from keytrail.stream.sequences.limits import SequenceLimits

SEQUENCES = Record(
    SequenceLimits,
    {
        "late_hours": Field(
            Whole(0, 168), "A number is missing that has not come so many full hours after a higher one."
        )
    },
)
