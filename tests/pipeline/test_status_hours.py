"""`keytrail status` says how far silence and reviews are judged, and which partition holds that back."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from running import Pipeline
from waiting import wait_until
from world import NOON, event

from keytrail.producers.publisher import EventPublisher
from keytrail.stream.backtest.history import History

_HOUR = 3_600_000_000
_FIRST = -100


def _iso(hour: int) -> str:
    """So many hours from the noon of the events."""
    return datetime.fromtimestamp((NOON // _HOUR + hour) * 3600, UTC).isoformat()


class _Company:
    """Services that report in partitions of their choice."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._subjects: dict[int, str] = {}

    def report(self, service: str, hour: int, *partitions: int) -> None:
        self._send(service, hour, [self._subjects[partition] for partition in partitions])

    def learn_partitions(self, service: str) -> None:
        """One service reports in all of them."""
        self._send(service, _FIRST, [f"subject-{number}" for number in range(16)])
        history = History(self._pipeline.settings.kafka)
        for past in history.events(history.spans(None, None)):
            self._subjects[past.partition] = (past.record.key or b"").decode()
        assert sorted(self._subjects) == list(range(history.partitions())) == [0, 1, 2, 3]

    def _send(self, service: str, hour: int, subjects: list[str]) -> None:
        at = NOON + hour * _HOUR
        publisher = EventPublisher(self._pipeline.settings)
        publisher.publish_all(
            event(service=service, subject=subject, occurred_at=at, recorded_at=at) for subject in subjects
        )
        publisher.close(60)


def _status(pipeline: Pipeline, capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    capsys.readouterr()
    assert pipeline.command("status", *flags) == 0
    return capsys.readouterr().out


def _hours(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in _status(pipeline, capsys, "--json").splitlines()]
    return [row for row in rows if "judged_before" in row]


def test_it_says_what_holds_the_hours_back(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    assert _hours(pipeline, capsys) == []
    assert "judged" not in _status(pipeline, capsys)

    def comes(judged: int | None, furthest: int | None, *held_back_by: tuple[int, int | None]) -> str:
        holding = [
            {"partition": partition, "reached": None if hour is None else _iso(hour)}
            for partition, hour in held_back_by
        ]
        row = {
            "judged_before": None if judged is None else _iso(judged),
            "furthest": None if furthest is None else _iso(furthest),
            "held_back_by": holding,
        }
        wait_until(
            lambda: _hours(pipeline, capsys) == [row], lambda: f"{_hours(pipeline, capsys)}, not {row}"
        )
        return _status(pipeline, capsys)

    company = _Company(pipeline)
    company.learn_partitions("batch")
    text = comes(None, None, *((partition, None) for partition in range(4)))
    assert "have judged nothing yet." in text
    assert "No two services have reported in one partition" in text

    for service in ("iam", "vault"):
        company.report(service, 0, 0, 1, 2)
    text = comes(None, 0, (3, None))
    assert "Partition 3 of keytrail.events holds them back: two services have never reported there." in text

    for service in ("iam", "vault"):
        company.report(service, -50, 3)
    text = comes(-52, 0, (3, -50))
    assert "judged what was before 2026-05-26 16:00 UTC." in text
    assert "since the hour of 2026-05-26 18:00 UTC, 50 hours behind the furthest." in text

    for service in ("iam", "vault"):
        company.report(service, -5, 3)
    text = comes(-7, 0)
    assert "holds them back" not in text
