"""The balances as Prometheus reads them."""

import re

from keytrail.sinks.balance import Balance
from keytrail.sinks.prometheus import exposition

_SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="[^"\\]*",?)+)\})? (-?[0-9.]+)')

BALANCES = [
    Balance("worker", "keytrail.events", 0, 10, 9, 1, 0, 4, {"enriched": 8, "duplicates": 1}),
    Balance("anomalies", "keytrail.anomalies", None, 3, 3),
]


def samples(lines: list[str]) -> dict[str, str]:
    found = {}
    for line in lines:
        if not line.startswith("#"):
            match = _SAMPLE.fullmatch(line)
            assert match, line
            found[f"{match[1]}{{{match[2] or ''}}}"] = match[3]
    return found


def test_every_sample_has_its_value_and_every_metric_its_meaning() -> None:
    lines = list(exposition(BALANCES, 0.25))
    found = samples(lines)
    assert found['keytrail_books_lost_records{stage="worker",partition="0"}'] == "1"
    assert found['keytrail_books_behind_records{stage="worker",partition="0"}'] == "4"
    assert found['keytrail_books_found_records{stage="anomalies",partition=""}'] == "3"
    assert found['keytrail_books_parts_records{stage="worker",partition="0",part="enriched"}'] == "8"
    assert found["keytrail_books_balanced{}"] == "0"
    assert found["keytrail_books_check_seconds{}"] == "0.250"
    for name in {sample.split("{")[0] for sample in found}:
        assert sum(line.startswith(f"# HELP {name} ") for line in lines) == 1
        assert lines.count(f"# TYPE {name} gauge") == 1


def test_balanced_books_say_so() -> None:
    assert samples(list(exposition(BALANCES[1:], 1)))["keytrail_books_balanced{}"] == "1"
