"""What ClickHouse's answers mean for an insert."""

import pytest

from keytrail.sinks.clickhouse.failures import Failure, failure
from keytrail.sinks.clickhouse.http import RefusedError


@pytest.mark.parametrize(
    ("code", "name", "kind"),
    [
        (376, "CANNOT_PARSE_UUID", Failure.DATA),
        (748, "AVRO_EXCEPTION", Failure.DATA),
        (349, "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN", Failure.DATA),
        (395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO", Failure.FENCED),
        (60, "UNKNOWN_TABLE", Failure.LASTING),
        (516, "AUTHENTICATION_FAILED", Failure.LASTING),
        (241, "MEMORY_LIMIT_EXCEEDED", Failure.PASSING),
        (252, "TOO_MANY_PARTS", Failure.PASSING),
        (243, "NOT_ENOUGH_SPACE", Failure.PASSING),
        (394, "QUERY_WAS_CANCELLED", Failure.PASSING),
        (99_999, "OF_A_LATER_VERSION", Failure.PASSING),
    ],
)
def test_codes(code: int, name: str, kind: Failure) -> None:
    assert failure(RefusedError(code, name, "")) is kind


def test_a_cpp_exception_is_about_data_where_it_is_avros() -> None:
    assert failure(RefusedError(1001, "STD_EXCEPTION", "type: avro::Exception, EOF reached")) is Failure.DATA
    assert failure(RefusedError(1001, "STD_EXCEPTION", "filesystem error: no space left")) is Failure.PASSING


def test_the_message_holds_no_data() -> None:
    error = RefusedError(376, "CANNOT_PARSE_UUID", "Cannot parse uuid the-secret: (at row 1)")
    assert "376" in str(error)
    assert "CANNOT_PARSE_UUID" in str(error)
    assert "the-secret" not in str(error)
