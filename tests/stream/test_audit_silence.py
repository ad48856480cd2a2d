"""Services that always report, and stop: which of them are missed, and after how long."""

from collections.abc import Iterable

import pytest
from reporting import HOUR, by_time, others, reports, silences
from world import NOON

from keytrail.stream.policies.policy import Policy, RuleSetting
from keytrail.stream.silence.limits import SilenceLimits


def test_a_service_that_reports_each_hour_is_missed_after_six() -> None:
    job = reports("job", range(200))
    assert silences(by_time(job, others(199 + 6 + 2))) == {}
    [missed] = silences(by_time(job, others(199 + 6 + 3))).values()
    assert (missed.entity, missed.status, missed.count) == ("job", "open", 1)
    assert missed.evidence == [job[-1].event_id]
    assert "has not since" in missed.summary
    back = silences(by_time(job, others(230), reports("job", [218])))
    assert back["job"].status == "resolved"


def test_a_service_that_reports_each_day_is_missed_after_three() -> None:
    job = reports("backup", [24 * day + (day % 3) * 0.3 for day in range(24)])
    last = 24 * 23
    assert silences(by_time(job, others(last + 72))) == {}
    assert "backup" in silences(by_time(job, others(last + 80)))


def test_a_service_that_rests_on_weekends_is_missed_after_more_than_that() -> None:
    office = [24 * day + hour for day in range(40) if day % 7 < 5 for hour in range(9)]
    job = reports("desk", office)
    assert silences(by_time(job, others(office[-1] + 3 * 64 - 10))) == {}
    assert "desk" in silences(by_time(job, others(office[-1] + 3 * 64 + 10)))


@pytest.mark.parametrize(
    ("name", "hours"),
    [
        ("few reports", [24 * day for day in range(19)]),
        ("young", range(150)),
        (
            "irregular",
            [0, 1, 2, 3, 30, 31, 60, 61, 62, 90, 120, 121, 122, 150, 180, 181, 182, 183, 184, 185, 186],
        ),
    ],
)
def test_a_service_that_does_not_always_report_is_not_missed(name: str, hours: Iterable[float]) -> None:
    assert silences(by_time(reports("job", hours), others(1_200))) == {}, name


def test_nobody_is_missed_where_all_are_silent_nor_by_one_wrong_clock() -> None:
    job = reports("job", range(200))
    assert silences(by_time(job, others(199))) == {}
    assert silences([*by_time(job, others(199)), *reports("skewed", range(210, 300))]) == {}


def test_what_comes_later_than_allowed_is_no_report() -> None:
    gap = by_time(reports("job", [h for h in range(300) if not 203 <= h <= 212]), others(299))
    assert silences(gap)["job"].status == "resolved"
    in_time = next(place for place, one in enumerate(gap) if one.occurred_at > NOON + 208.5 * HOUR)
    late = next(place for place, one in enumerate(gap) if one.occurred_at > NOON + 211.5 * HOUR)
    assert silences(gap[:in_time] + reports("job", [207]) + gap[in_time:]) == {}
    assert silences(gap[:late] + reports("job", [207]) + gap[late:])["job"].status == "resolved"


def test_a_service_that_is_gone_for_long_begins_anew() -> None:
    job = reports("job", [*range(100), *range(1_000, 1_200)])
    found = silences(by_time(job, others(1_209)))["job"]
    assert found.status == "open"
    assert found.first_seen == NOON + 1_199 * HOUR


def test_limits_are_the_policys_and_a_rule_can_be_off() -> None:
    events = by_time(reports("job", range(200)), others(215))
    assert silences(events, Policy(silence=SilenceLimits(least_hours=100))) == {}
    assert silences(events, Policy(rules=(RuleSetting("audit_silence", enabled=False),))) == {}
    low = Policy(rules=(RuleSetting("audit_silence", severity="low"),))
    assert [a.severity for a in silences(events, low).values()] == ["low"]
