"""What a report is, and what it answers with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from keytrail.sinks.clickhouse.http import ClickHouse, Row
from keytrail.sinks.reports.terms import Terms


@dataclass(frozen=True)
class Bars:
    """How a section is drawn: a bar for each value of column `label`, as long as column `size` says.

    Without `size` a bar is as long as there are rows with that label.
    """

    label: str
    size: str = ""


@dataclass(frozen=True)
class Section:
    """The answer to one question.

    `columns` are those that a table shows; `query` is the SQL as anybody can run it; `control` and
    `requirement` name what it is evidence of.  `exceptions` says that each row is one too many.
    """

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Row]
    query: str = ""
    bars: Bars | None = None
    exceptions: bool = False
    control: str = ""
    requirement: str = ""

    @property
    def result(self) -> str:
        """The outcome in a few words."""
        if self.exceptions:
            return f"{len(self.rows)} to look at" if self.rows else "none, as it should be"
        return f"{len(self.rows)} row{'' if len(self.rows) == 1 else 's'}"


@dataclass(frozen=True)
class Answer:
    """`notes` are for a person, such as that the rows are not all."""

    sections: tuple[Section, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """`params` maps each parameter's name to what it means; `by_policy` says that the policy's terms count.

    `answer` takes the parameters that were given, and the terms.  It raises `UsageError` for values that it
    cannot use, and as `ClickHouse.run` does.
    """

    name: str
    summary: str
    params: Mapping[str, str]
    answer: Callable[[ClickHouse, Mapping[str, str], Terms], Answer]
    by_policy: bool = False
