"""What the watch over silence keeps, is told and says of hours that come together."""

from collections.abc import Sequence
from itertools import accumulate

from hypothesis import example, given, settings
from hypothesis import strategies as st
from reporting import HOUR, by_time, others, reports, silences
from test_triage import ADMIN, decided
from world import NOON, World, event

from keytrail.schemas import avro
from keytrail.schemas.records import Attendance, Occurrence, Report, Signal
from keytrail.schemas.triage import CLOSE
from keytrail.stream.findings.signals import routing_key
from keytrail.stream.policies.policy import Policy
from keytrail.stream.policies.timeline import Timeline
from keytrail.stream.silence.limits import SilenceLimits
from keytrail.stream.silence.progress import LATENESS
from keytrail.stream.silence.watch import SilenceWatch

_GAPS = st.one_of(st.integers(1, 12), st.integers(1, 12), st.integers(1, 12), st.integers(300, 900))


def watched(hours: Sequence[int], until: int, step: int, limits: SilenceLimits) -> list[tuple[bool, str]]:
    """What is said of a service, where so many hours come together."""
    policy = Policy(silence=limits)
    watch, said = SilenceWatch(Timeline(policy), 1), []
    for end in [*range(step, until, step), until]:
        events = [
            Occurrence((NOON // HOUR + hour) * HOUR, str(hour)) for hour in hours if end - step <= hour < end
        ]
        reports = [Report("job", events)] if events else []
        watch.take(Attendance(0, NOON // HOUR + end + LATENESS, reports), policy.version)
        said += [(signal.holds, *[at.event_id for at in signal.events]) for signal in watch.judge()]
    return said


def test_attendance_comes_through_the_topic_as_it_was_and_has_one_place() -> None:
    world = World()
    [output] = world.send(event(service="iam"), event(service="vault"))
    [told] = [signal for signal in output.signals if signal.attendance]
    schema = avro.parse(avro.schema_text("signal"))
    assert avro.decoder(Signal, schema, schema)(avro.encoder(schema)(told), 0) == told
    assert told.attendance is not None
    assert {report.service for report in told.attendance.reports} == {"iam", "vault"}
    assert told.attendance.hour == NOON // HOUR
    missed = silences(by_time(reports("job", range(200)), others(220)))["job"]
    [close] = World([ADMIN]).send(decided(CLOSE, missed))
    [decision] = [signal for signal in close.signals if signal.triage]
    assert routing_key(decision) == routing_key(told)


def test_hours_that_a_partition_holds_back_are_kept_for_eight_weeks() -> None:
    watch = SilenceWatch(Timeline(Policy()), partitions=2)
    start, size = NOON // HOUR, 0
    for hour in range(start, start + 5_000):
        at = Occurrence(hour * HOUR, f"id-{hour}")
        watch.take(Attendance(0, hour, [Report("job", [at])]), Policy().version)
        assert list(watch.judge()) == []
        size = max(size, *(len(change.value or b"") for change in watch.take_changes()))
    assert size < 100_000
    late = start + 5_000 + 20
    for service, partition in (("iam", 0), ("vault", 1)):
        seen = [Occurrence(late * HOUR, service)]
        watch.take(Attendance(partition, late, [Report(service, seen)]), Policy().version)
    [found] = watch.judge()
    assert (found.entity, found.last_seen) == ("job", (start + 4_999) * HOUR)


@settings(max_examples=100, deadline=None)
@given(st.lists(_GAPS, min_size=5, max_size=60), st.integers(1, 1_000), st.floats(1, 100))
@example([2] * 100, 700, 3.0)
@example([2] * 100, 800, 336.5)
@example([2] * 100 + [700, 2, 2], 60, 335.5)
def test_months_at_once_say_what_single_hours_do(gaps: list[int], rest: int, times: float) -> None:
    limits = SilenceLimits(times=times, least_hours=2, known_days=1, regular_reports=5, busy_hours=10)
    hours = list(accumulate(gaps, initial=0))
    until = hours[-1] + rest
    assert watched(hours, until, 1, limits) == watched(hours, until, until, limits)
    assert watched(hours, until, 100, limits) == watched(hours, until, until, limits)
