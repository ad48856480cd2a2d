"""What ClickHouse's errors mean for an insert."""

from enum import Enum

from keytrail.sinks.clickhouse.http import RefusedError


class Failure(Enum):
    DATA = "a row cannot be stored as it is"
    FENCED = "another sink has claimed the partition"
    PASSING = "it may work later"
    LASTING = "somebody has to change something first"


_DATA = {
    *(6, 25, 26, 27, 33, 38, 41, 72, 376, 467, 675, 676),  # cannot be parsed: text, dates, numbers, UUIDs
    *(53, 69, 70, 117, 321, 349, 407, 441, 469, 691),  # does not fit the column's type or constraint
    *(128, 131, 190),  # arrays and strings that are too large, maps that do not match
    748,  # what ClickHouse's Avro library finds wrong
}
_CPP_EXCEPTION = 1001
_FENCED = 395  # the guard in our own INSERT throws it
_LASTING = {
    *(
        8,
        10,
        16,
        20,
        36,
        44,
        47,
        48,
        62,
        115,
    ),  # columns, arguments, syntax, settings: table or statement unfit
    *(60, 73, 81),  # no such table, format, database
    *(192, 193, 194, 291, 497, 516),  # user, password, access
}


def failure(error: RefusedError) -> Failure:
    """A code that is not known better is taken for passing: the sink says so, waits and tries again."""
    if error.code in _DATA or (error.code == _CPP_EXCEPTION and "avro" in error.said):
        return Failure.DATA
    if error.code == _FENCED:
        return Failure.FENCED
    return Failure.LASTING if error.code in _LASTING else Failure.PASSING
