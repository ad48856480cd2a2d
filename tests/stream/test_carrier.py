"""Signals that carry something else than a rule's word: made without guards, and the same as others."""

import pytest

from keytrail.schemas.records import Attendance, Signal, Tally
from keytrail.stream.findings.signals import carrier

TALLY = Tally(1, "human", "bob", break_glass=False, provisions=False, issued_at=None, deeds=[])
ATTENDANCE = Attendance(0, 7, [])


@pytest.mark.parametrize(("tally", "attendance"), [(TALLY, None), (None, ATTENDANCE)])
def test_a_carrier_has_every_field_that_a_signal_has(
    tally: Tally | None, attendance: Attendance | None
) -> None:
    made = carrier("conduct", "key", "pk_1", [5, 3, 4], 2, "v1", tally=tally, attendance=attendance)
    usual = Signal(
        rule="conduct",
        entity_type="key",
        entity="pk_1",
        cause="",
        holds=True,
        severity="",
        summary="",
        remedy="",
        events=[],
        count=2,
        first_seen=3,
        last_seen=5,
        details={},
        policy_version="v1",
        tally=tally,
        attendance=attendance,
    )
    # Of a field that has a default in the class alone, == would not tell that it is left out.
    assert list(vars(made).items()) == list(vars(usual).items())
