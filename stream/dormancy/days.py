"""Which days were judged, by which policy each is, and from when on events are known."""

import json
from dataclasses import dataclass, field

from keytrail.schemas.records import Attendance
from keytrail.stream.conduct.tallies import HOUR
from keytrail.stream.dormancy.rest import NOT_YET
from keytrail.stream.errors import StateFormError

HOURS = 24  # of a day
_FORM = 1  # of the packed state
_TELLS_POLICY = 0  # a partition that there always is
_MOST_VERSIONS = 100


@dataclass(slots=True)
class Days:
    """Days before `judged` were judged.  `begins` is the first hour that each partition told of.

    `policies` are (hour, version): up to that hour one partition went by that policy.  It goes by the records
    of that partition alone, so that neither batches nor workers matter.
    """

    judged: int = NOT_YET
    begins: dict[int, int] = field(default_factory=dict)
    policies: list[tuple[int, str]] = field(default_factory=list)

    def note(self, attendance: Attendance, policy_version: str) -> bool:
        """True where anything is new."""
        partition, is_new = attendance.partition, False
        if self.judged == NOT_YET and attendance.reports:
            first = min(at.occurred_at for report in attendance.reports for at in report.events) // HOUR
            if first < self.begins.get(partition, first + 1):
                self.begins[partition], is_new = first, True
        if partition != _TELLS_POLICY:
            return is_new
        latest, version = self.policies[-1] if self.policies else (NOT_YET, "")
        if attendance.hour <= latest:
            return is_new
        if self.policies and version == policy_version:
            self.policies.pop()
        self.policies.append((attendance.hour, policy_version))
        del self.policies[:-_MOST_VERSIONS]
        return True

    @property
    def first(self) -> int:
        """The day from which on all partitions tell what happens; there is one that does."""
        return max(self.begins.values()) // HOURS

    def policy_at(self, hour: int) -> str:
        """The version that counted where that hour was reached; of earlier hours nobody will ask."""
        while len(self.policies) > 1 and self.policies[0][0] < hour:
            del self.policies[0]
        return self.policies[0][1]


def pack(days: Days) -> bytes:
    """As stored; see `unpack`."""
    begins = sorted(days.begins.items())
    return json.dumps([_FORM, days.judged, begins, days.policies], separators=(",", ":")).encode()


def unpack(packed: bytes) -> Days:
    form, *fields = json.loads(packed)
    if form != _FORM:
        raise StateFormError("days of rest", form)
    judged, begins, policies = fields
    return Days(judged, dict(begins), [(hour, version) for hour, version in policies])
