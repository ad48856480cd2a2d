"""The balances as metrics, in Prometheus' text format.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from collections.abc import Callable, Iterator, Sequence

from keytrail.sinks.balance import Balance

# Name, meaning, value; one sample for each stage and partition.
_METRICS: Sequence[tuple[str, str, Callable[[Balance], int]]] = (
    ("keytrail_books_expected_records", "Records that should have come through.", lambda b: b.expected),
    ("keytrail_books_found_records", "Records that have come through.", lambda b: b.found),
    ("keytrail_books_lost_records", "Records that are missing and not on their way.", lambda b: b.lost),
    ("keytrail_books_doubled_records", "Records that are there more often than once.", lambda b: b.doubled),
    ("keytrail_books_behind_records", "Records on their way; the worker's in offsets.", lambda b: b.behind),
)


def exposition(balances: Sequence[Balance], took_s: float) -> Iterator[str]:
    """Lines of text; the label `partition` is empty where a stage is counted as a whole."""
    for name, meaning, value in _METRICS:
        yield from _head(name, meaning)
        for each in balances:
            partition = "" if each.partition is None else each.partition
            yield f'{name}{{stage="{each.stage}",partition="{partition}"}} {value(each)}'
    yield from _head("keytrail_books_parts_records", "What the counts of a stage are made of.")
    for each in balances:
        partition = "" if each.partition is None else each.partition
        for part, count in each.parts.items():
            labels = f'stage="{each.stage}",partition="{partition}",part="{part}"'
            yield f"keytrail_books_parts_records{{{labels}}} {count}"
    yield from _head("keytrail_books_balanced", "1 where nothing is lost or doubled, else 0.")
    yield f"keytrail_books_balanced {int(all(each.balanced for each in balances))}"
    yield from _head("keytrail_books_check_seconds", "How long the check took.")
    yield f"keytrail_books_check_seconds {took_s:.3f}"


def _head(name: str, meaning: str) -> Iterator[str]:
    yield f"# HELP {name} {meaning}"
    yield f"# TYPE {name} gauge"
