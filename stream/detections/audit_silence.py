"""Audit silence: a service that always reports has stopped.

A service is missed that reports always, which is judged by the 28 days up to its latest report, in full hours
(UTC). With n the hours in which it reported, span from the first to the last of them, and rest the longest
time between two:

    span >= silence.known_days days
    n >= silence.busy_hours,
        or  n >= silence.regular_reports  and  rest <= 1.5 * span / (n - 1)
    silent for more than  max(silence.times * rest, silence.least_hours)  hours

so a service that is quiet on weekends is missed after some days, and one that reports each hour after six
hours. Reports are events of any kind and outcome, in all partitions. The time is that of the stream, not the
clock's: an hour is judged once every partition is two hours past it, that is once two services have
reported there so late; an event counts as of no later than when the broker had it. So no service's wrong
clock moves it, nobody is missed where all are silent or where fewer than two others go on, and a partition
that two services never reported in holds all of it back.
Events that come later than these two hours are no reports: a service that sends the log of a lost day in
arrears was silent. One finding a service, by the policy of the last report before it; it resolves when the
service reports again.

False positives: services that were taken out of use (close the finding), and long holidays of services that
only people cause to report. Someone who wants to hide what they do stops the log first.
ATT&CK T1562.008 (Disable or Modify Cloud Logs); no item of OWASP's NHI Top 10 is about it. Source of the
idea: missing-log-source rules of SIEM vendors (Splunk, Microsoft Sentinel).

This is the rule's half that is a function of hours; `stream/silence/` keeps them.
"""

from datetime import UTC, datetime

from keytrail.schemas.records import Occurrence
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.silence.limits import SilenceLimits

RULE = Rule("audit_silence", 1, "condition", "high", "T1562.008", measure="figure")
WINDOW = 28 * 24  # hours
_REGULAR = 1.5  # by chance, twenty reports are so regular once in a hundred times


def bearable(hours: int, limits: SilenceLimits) -> int | None:
    """For how many hours it may be silent; None: it does not report always.

    Bit i of `hours` is set where it reported in hour i; the first and the last bit are.
    """
    reports, span = hours.bit_count(), hours.bit_length() - 1
    if reports < min(limits.regular_reports, limits.busy_hours) or span < limits.known_days * 24:
        return None
    rest = max(map(len, f"{hours:b}".split("1"))) + 1
    is_regular = reports >= limits.regular_reports and rest * (reports - 1) <= _REGULAR * span
    if not is_regular and reports < limits.busy_hours:
        return None
    return max(int(limits.times * rest), limits.least_hours)


def missed(service: str, last: Occurrence) -> Verdict:
    at = datetime.fromtimestamp(last.occurred_at // 1_000_000, UTC)
    return Verdict(
        RULE,
        "service",
        service,
        "",
        f"{service} always reports, and has not since {at:%Y-%m-%d %H}:00 UTC; others have.",
        f"See whether {service} runs and reaches Kafka, and whether somebody turned its log off; "
        "if it is out of use: keytrail anomalies close.",
        details={"silent_since": f"{at:%Y-%m-%dT%H}:00Z"},
        evidence=(last,),
    )


def back(service: str, again: Occurrence) -> Verdict:
    return Verdict(
        RULE, "service", service, "", f"{service} reports again.", "", holds=False, evidence=(again,)
    )
