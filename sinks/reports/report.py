"""What a report is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from keytrail.sinks.clickhouse.http import ClickHouse, Row


@dataclass(frozen=True)
class Answer:
    """`notes` are for a person, such as that the rows are not all."""

    rows: list[Row]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """`params` maps each parameter's name to what it means; `columns` are those that a table shows.

    `answer` takes the parameters that were given.  It raises `UsageError` for values that it cannot use, and
    as `ClickHouse.run` does.
    """

    name: str
    summary: str
    params: Mapping[str, str]
    columns: tuple[str, ...]
    answer: Callable[[ClickHouse, Mapping[str, str]], Answer]
