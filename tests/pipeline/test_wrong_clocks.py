"""Services that share a clock which is ahead, in a running pipeline: they move nobody else's time."""

from collections.abc import Iterable

from running import Pipeline
from waiting import wait_until
from world import event, key

from keytrail.producers.clock import system_clock
from keytrail.producers.publisher import EventPublisher, KeyPublisher
from keytrail.schemas.records import Event
from keytrail.schemas.registry import Registry
from keytrail.sinks.books import Books
from keytrail.stream.backtest.backtest import Backtest, PastRecord
from keytrail.stream.backtest.history import History, directory_of
from keytrail.stream.policies.policy import Policy
from keytrail.stream.reading.source import Record

HOUR = 3_600_000_000
EVERYWHERE = [f"subject-{number}" for number in range(16)]  # of all partitions
HIDDEN = {"audit_silence", "break_glass_unreviewed"}


def _at(now: int, service: str, hour: float, subject: str = "alice", **fields: object) -> Event:
    at = now + int(hour * HOUR)
    return event(service=service, subject=subject, occurred_at=at, recorded_at=at, **fields)


def _backtest(pipeline: Pipeline, past: Iterable[PastRecord]) -> set[str]:
    history, registry = History(pipeline.settings.kafka), Registry(pipeline.settings.registry)
    keys = directory_of(history.keys(), registry)
    backtest = Backtest(Policy(), keys, registry, system_clock, partitions=history.partitions())
    backtest.take(list(past))
    return {found.rule for found in backtest.findings()} & HIDDEN


def test_no_silence_and_no_wait_for_a_review_ends_early(pipeline: Pipeline) -> None:
    now = system_clock()
    glass = key("pk_glass", break_glass=True, issued_at=now - 9_000 * HOUR)
    with_keys = KeyPublisher(pipeline.settings)
    with_keys.publish_all([glass])
    with_keys.close(60)
    right = [_at(now, "job", hour) for hour in range(-200, 1)]
    right += [_at(now, "job", -7, key_id="pk_glass")]
    right += [_at(now, service, 0, subject) for service in ("iam", "vault") for subject in EVERYWHERE]
    wrong = [_at(now, service, 20, subject) for service in ("bad", "worse") for subject in EVERYWHERE]
    events = EventPublisher(pipeline.settings)
    for some in (right, wrong):
        events.publish_all(some)
        events.settle(60)
    pipeline.wait_for_rows(len(right) + len(wrong))
    with Books(pipeline.settings) as books:
        wait_until(lambda: not any(stage.behind for stage in books.check()), "the worker and the sink")

    history = History(pipeline.settings.kafka)
    past = list(history.events(history.spans(None, None)))
    assert len({one.partition for one in past}) == history.partitions()
    assert not {found.rule for found in pipeline.findings()} & HIDDEN
    assert _backtest(pipeline, past) == set()
    # What the clocks would have done, were the time of arrival not known.
    bare = [Record(one.record.offset, one.record.value, one.record.key) for one in past]
    blind = [PastRecord(one.partition, record) for one, record in zip(past, bare, strict=True)]
    assert _backtest(pipeline, blind) == HIDDEN
