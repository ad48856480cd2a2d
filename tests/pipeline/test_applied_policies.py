"""`keytrail policy apply` on a running pipeline: three workers switch at one point of each partition."""

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from running import Pipeline, running_part
from scratch_stack import running_stack
from waiting import wait_until
from world import event

from keytrail.cli.policy_in_force import policy_in_force
from keytrail.producers.clock import system_clock
from keytrail.producers.publisher import EventPublisher
from keytrail.schemas.applied import ACTION, SERVICE, AppliedPolicy, pack
from keytrail.schemas.topics import POLICIES
from keytrail.stream.policies.file import read_policy
from keytrail.stream.policies.policy import Policy

Out = pytest.CaptureFixture[str]


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Pipeline]:
    with running_stack(tmp_path / "data", workers=3, sinks=1) as settings:
        yield Pipeline(settings)


def test_all_workers_switch_at_one_point(three: Pipeline, tmp_path: Path, capsys: Out) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("version: 1\nrules: {unknown_key: {severity: critical}}\n")
    apply = ("policy", "apply", str(path), "--reason", "more noise", "--actor", "carol")
    assert three.command(*apply) == 2
    assert "an admin's key" in capsys.readouterr().err
    assert three.command("keys", "issue", "--owner", "carol", "--kind", "human", "--reason", "first") == 0

    with traffic(three):
        wait_until(lambda: three.rows()[0] > 50, lambda: f"{three.rows()}")
        assert three.command(*apply) == 0
        wait_for_version(three, read_policy(path).version)
        path.write_text("version: 1\nrules: {unknown_key: {enabled: false}}\n")
        assert three.command(*apply) == 0
        assert three.command(*apply) == 0
        assert f"Policy {read_policy(path).version} is in force already." in capsys.readouterr().err
        wait_for_version(three, read_policy(path).version)

    first, second = history(three, capsys)
    assert (second["actor"], second["reason"]) == ("carol", "more noise")
    rows = three.clickhouse.rows(
        "SELECT source_partition AS p, source_offset AS o, policy_version FROM events"
    )
    assert len(rows) > 100
    for row in rows:
        partition, offset = str(row["p"]), int(str(row["o"]))
        counts = [one for one in (second, first) if offset >= one["counts_from"][partition]]
        assert row["policy_version"] == (counts[0]["version"] if counts else Policy().version), row
    told = three.clickhouse.rows(
        "SELECT key_id, key_status, uniqExact(source_partition) AS ps, count() AS n FROM events "
        f"WHERE action = '{ACTION}' GROUP BY ALL"
    )
    assert [(row["key_id"], row["key_status"], str(row["ps"]), str(row["n"])) for row in told] == [
        (first["key_id"], "active", "4", "8")
    ]

    three.command("policy", "show")
    shown = capsys.readouterr()
    assert "applied by carol" in shown.err
    assert "unknown_key:\n    enabled: false" in shown.out
    assert policy_in_force(three.settings.kafka) == read_policy(path)
    assert three.command("backtest", str(path), "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["against_version"] == second["version"]

    path.write_text("version: 1\norphans: {grace_days: 5}\n")
    with running_part("worker", three.data_dir, "--policy", str(path)) as part:
        assert part.process.wait(60) == 2
        assert f"Policy {second['version']} was applied by carol" in part.log.read_text()


def test_rules_of_an_applied_policy_are_asked_by_all_workers_and_by_a_backtest(
    three: Pipeline, tmp_path: Path, capsys: Out
) -> None:
    path = tmp_path / "policy.yaml"
    custom = (
        "version: 1\ncustom_rules:\n"
        "- {name: custom_ext, when: event.subject.startsWith('ext-'), summary: Given., actions: [grant]}\n"
    )
    path.write_text(custom)
    assert three.command("keys", "issue", "--owner", "carol", "--kind", "human", "--reason", "first") == 0
    assert three.command("policy", "apply", str(path), "--reason", "ours", "--actor", "carol") == 0
    # Of many subjects, so that each partition has some.
    granted = [
        event(action="grant", role="r", reason="x", subject=subject, occurred_at=system_clock())
        for number in range(40)
        for subject in (f"ext-{number}", f"ext-{number}", f"s{number}")
    ]
    send(three, *granted)
    expected = {(f"ext-{number}", 2) for number in range(40)}

    def found() -> set[tuple[str, int]]:
        return {(f.entity, f.count) for f in three.findings() if f.rule == "custom_ext"}

    wait_until(lambda: found() == expected, lambda: f"{sorted(expected ^ found())[:5]}")

    path.write_text(
        f"{custom}- {{name: custom_any, when: size(event.subject) < 4, summary: Given., actions: [grant]}}\n"
    )
    capsys.readouterr()
    assert three.command("backtest", str(path), "--json") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    custom_rows = {row["rule"]: row for row in rows if str(row.get("rule")).startswith("custom_")}
    assert (custom_rows["custom_any"]["new"], custom_rows["custom_any"]["in_force"]) == (40, 0)
    # The past is judged by one policy throughout: the one that was applied last.
    assert (custom_rows["custom_ext"]["new"], custom_rows["custom_ext"]["in_force"]) == (0, 40)


def test_an_announcement_by_anybody_else_changes_nothing(pipeline: Pipeline) -> None:
    send(
        pipeline,
        event(occurred_at=system_clock(), action=ACTION, service=SERVICE, subject="keytrail.events/0"),
    )
    pipeline.wait_for_rows(1)
    assert pipeline.rows() == (1, 1)
    assert policy_in_force(pipeline.settings.kafka) == Policy()


def test_a_worker_stops_where_it_cannot_read_the_policy(pipeline: Pipeline) -> None:
    """A later keytrail applied it; the events wait until a worker knows the policy."""
    later = AppliedPolicy(
        str(uuid.uuid4()), "0" * 12, "version: 1\nfuture: 1\n", "carol", "pk", "new", None, system_clock(), {}
    )
    producer = Producer(pipeline.settings.kafka.client())
    producer.produce(POLICIES.name, pack(later), later.policy_id.encode())
    assert producer.flush(30) == 0
    with running_part("worker", pipeline.data_dir) as part:
        assert part.process.wait(60) == 1
        assert "cannot be read by this keytrail" in part.log.read_text()


@contextmanager
def traffic(pipeline: Pipeline) -> Iterator[None]:
    """Events with keys that nobody knows, of many subjects, without a pause."""
    over = threading.Event()

    def send_on() -> None:
        number = 0
        while not over.is_set():
            some = [
                event(key_id=f"pk_{number % 7}", subject=f"s{number % 53}", occurred_at=system_clock())
                for number in range(number, number + 50)
            ]
            number += len(some)
            send(pipeline, *some)

    thread = threading.Thread(target=send_on)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(60)


def send(pipeline: Pipeline, *events: Any) -> None:
    publisher = EventPublisher(pipeline.settings)
    publisher.publish_all(events)
    publisher.close(60)


def wait_for_version(pipeline: Pipeline, version: str) -> None:
    def count() -> int:
        [row] = pipeline.clickhouse.rows(
            f"SELECT uniqExact(source_partition) AS ps FROM events WHERE policy_version = '{version}'"
        )
        return int(str(row["ps"]))

    wait_until(lambda: count() == 4, lambda: f"{count()} partitions go by {version}")


def history(pipeline: Pipeline, capsys: Out) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert pipeline.command("policy", "history", "--json") == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]
