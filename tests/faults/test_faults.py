"""The pipeline under load while its parts are killed and stopped and its links fail: 0 lost, 0 doubled."""

import statistics
import time
from collections import Counter
from pathlib import Path

import pytest
from audit import anomalies_in_table, anomalies_on_topic, unbalanced_partitions
from children import Feeding
from monitor import Monitor
from plan import draw
from running import Pipeline
from scheduler import Happened, Scheduler
from stack import FaultStack, fault_stack

from keytrail.producers.publisher import KeyPublisher
from keytrail.producers.simulation import Simulation
from keytrail.schemas.topics import DEFAULT_PARTITIONS
from keytrail.sinks.books import Books

# More than is sent in a run: the simulation spreads half a year over them.
EVENTS_A_FAULT = 60_000
AHEAD = 100_000
DRAIN_S = 900.0


@pytest.mark.faults
def test_nothing_lost_nothing_twice_whatever_dies(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    count, seed, rate = (
        request.config.getoption(name) for name in ("--faults", "--fault-seed", "--fault-rate")
    )

    def say(line: str) -> None:
        with capsys.disabled():
            print(line, flush=True)

    say(f"\n{count} faults, seed {seed}, up to {rate:,.0f} events a second")
    with fault_stack(tmp_path / "data") as stack:
        try:
            _run(stack, count, seed, rate, say)
        except BaseException:
            for line in [*stack.reports[-10:], *_log_tails(tmp_path / "data" / "logs")]:
                say(line)
            raise


def _run(stack: FaultStack, count: int, seed: int, rate: float, say) -> None:  # type: ignore[no-untyped-def]
    events = EVENTS_A_FAULT * (count + 2)
    keys = KeyPublisher(stack.settings)
    keys.publish_all(Simulation(events, seed).keys())
    keys.close(60)
    pipeline = Pipeline(stack.settings)
    monitor = Monitor(stack.settings, DEFAULT_PARTITIONS)
    faults = draw(count, seed, [*stack.parts()], [*stack.proxies])
    began = time.monotonic()
    try:
        with Feeding(stack.settings, events, seed, rate, AHEAD, lambda: monitor.rows) as feeding:
            assert monitor.wait(monitor.begin(), 120), "nothing flows before the first fault"
            happened = Scheduler(stack, monitor, seed, say).run(faults)
            loaded_s = time.monotonic() - began
            sent = feeding.stop()
            _tell(happened, sent, loaded_s, say)
            _await_rows(pipeline, sent)
            say(f"drained {time.monotonic() - began - loaded_s:.0f} s after the last event")
            expected = feeding.findings()
            say(f"reference: {len(expected)} findings")
            check(pipeline, sent, expected, say)
    finally:
        monitor.stop()


def check(pipeline: Pipeline, sent: int, expected, say) -> None:  # type: ignore[no-untyped-def]
    problems = []
    rows, ids = pipeline.rows()
    say(f"events: {sent} sent, {rows} rows, {ids} distinct: {sent - ids} lost, {rows - ids} doubled")
    if not rows == ids == sent:
        problems.append(f"{sent} sent, {rows} rows, {ids} distinct")
    if uneven := unbalanced_partitions(pipeline.clickhouse):
        problems.append(f"partitions {uneven}")
    try:
        pipeline.wait_for_findings(expected)
    except AssertionError as error:
        problems.append(f"findings differ: {error}")
    table, topic = anomalies_in_table(pipeline.clickhouse), anomalies_on_topic(pipeline.settings)
    doubled = {
        name: sum(n - 1 for n in found.values()) for name, found in (("table", table), ("topic", topic))
    }
    say(f"anomaly records: {len(topic)} on the topic, {len(table)} in the table; doubled: {doubled}")
    if any(doubled.values()) or topic != table:
        problems.append(
            f"anomalies: {doubled}; only on topic {list((topic - table))[:3]}, only in table {list((table - topic))[:3]}"
        )
    revisions = Counter(anomaly_id for anomaly_id, _ in topic)
    if any(revision > revisions[anomaly_id] for anomaly_id, revision in topic):
        problems.append("a finding misses a revision")
    with Books(pipeline.settings) as books:
        unbalanced = [balance for balance in books.check() if not balance.balanced or balance.behind]
    say(f"books: {'balance' if not unbalanced else unbalanced}")
    if unbalanced:
        problems.append(f"the books do not balance: {unbalanced}")
    say(f"findings: {'identical' if not any('findings' in p for p in problems) else 'different'}")
    assert not problems, "\n".join(problems)


def _await_rows(pipeline: Pipeline, sent: int) -> None:
    deadline = time.monotonic() + DRAIN_S
    while pipeline.rows()[0] < sent:
        assert time.monotonic() < deadline, f"{pipeline.rows()} rows of {sent} after {DRAIN_S:.0f} s"
        time.sleep(0.5)


def _tell(happened: list[Happened], sent: int, loaded_s: float, say) -> None:  # type: ignore[no-untyped-def]
    kinds = Counter(one.fault.kind for one in happened)
    say(f"{len(happened)} faults: {', '.join(f'{n} {kind}' for kind, n in kinds.most_common())}")
    say(f"{sent} events in {loaded_s:.0f} s: {sent / loaded_s:,.0f} a second")
    by: dict[str, list[float]] = {"all": []}
    for one in happened:
        if one.recovery.after_s is not None:
            by["all"].append(one.recovery.after_s)
            by.setdefault(f"{one.fault.kind} {one.fault.target}", []).append(one.recovery.after_s)
    for name, times in by.items():
        say(
            f"  recovery, {name}: median {statistics.median(times):.1f} s, worst {max(times):.1f} s, {len(times)} times"
        )


def _log_tails(logs: Path) -> list[str]:
    return [
        f"{path.name}: {line}"
        for path in sorted(logs.glob("*.log"))
        for line in path.read_text(errors="replace").splitlines()[-8:]
    ]
