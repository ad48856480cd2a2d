"""Which days were judged, by which policy each is, and from when on events are known.

A partition tells what happens from the hour on by which two services have reported, as it is no further in
time than two are (`silence.progress`): what one service's wrong clock says was long ago tells nothing of the
time since.
"""

import json
from dataclasses import dataclass, field

from keytrail.schemas.records import Attendance
from keytrail.stream.conduct.tallies import HOUR
from keytrail.stream.dormancy.rest import NOT_YET
from keytrail.stream.errors import StateFormError

HOURS = 24  # of a day
_FORM = 2  # of the packed state; 2 keeps the first hours by service
_TELLS_POLICY = 0  # a partition that there always is
_MOST_VERSIONS = 100
_SERVICES = 2  # that must have reported


@dataclass(slots=True)
class Days:
    """Days before `judged` were judged.  `begins` are by partition the first hours of the two services that
    were first there.

    `policies` are (hour, version): up to that hour one partition went by that policy.  It goes by the records
    of that partition alone, so that neither batches nor workers matter.
    """

    judged: int = NOT_YET
    begins: dict[int, dict[str, int]] = field(default_factory=dict)
    policies: list[tuple[int, str]] = field(default_factory=list)

    def note(self, attendance: Attendance, policy_version: str) -> bool:
        """True where anything is new."""
        is_new = self.judged == NOT_YET and self._note_begin(attendance)
        if attendance.partition != _TELLS_POLICY:
            return is_new
        latest, version = self.policies[-1] if self.policies else (NOT_YET, "")
        if attendance.hour <= latest:
            return is_new
        if self.policies and version == policy_version:
            self.policies.pop()
        self.policies.append((attendance.hour, policy_version))
        del self.policies[:-_MOST_VERSIONS]
        return True

    def _note_begin(self, attendance: Attendance) -> bool:
        known = self.begins.get(attendance.partition, {})
        hours = dict(known)
        for report in attendance.reports:
            first = min(at.occurred_at for at in report.events) // HOUR
            hours[report.service] = min(first, hours.get(report.service, first))
        first_two = sorted(hours.items(), key=lambda one: (one[1], one[0]))[:_SERVICES]
        if dict(first_two) == known:
            return False
        self.begins[attendance.partition] = dict(first_two)
        return True

    @property
    def first(self) -> int | None:
        """The day from which on all partitions tell what happens; None where none does."""
        begins = [max(hours.values()) for hours in self.begins.values() if len(hours) == _SERVICES]
        return max(begins) // HOURS if begins else None

    def policy_at(self, hour: int) -> str:
        """The version that counted where that hour was reached; of earlier hours nobody will ask."""
        while len(self.policies) > 1 and self.policies[0][0] < hour:
            del self.policies[0]
        return self.policies[0][1]


def pack(days: Days) -> bytes:
    """As stored; see `unpack`."""
    begins = [[partition, sorted(hours.items())] for partition, hours in sorted(days.begins.items())]
    return json.dumps([_FORM, days.judged, begins, days.policies], separators=(",", ":")).encode()


def unpack(packed: bytes) -> Days:
    form, *fields = json.loads(packed)
    if form not in (1, _FORM):
        raise StateFormError("days of rest", form)
    judged, begins, policies = fields
    # Form 1 did not say whose hours they are; what comes next begins anew, where no day was judged.
    by_partition = {partition: dict(hours) for partition, hours in begins} if form == _FORM else {}
    return Days(judged, by_partition, [(hour, version) for hour, version in policies])
