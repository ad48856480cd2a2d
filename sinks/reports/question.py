"""A question in SQL, and its answer as a report's section."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from keytrail.schemas.errors import UsageError
from keytrail.sinks.clickhouse.http import ClickHouse, Param, text
from keytrail.sinks.reports.report import Answer, Bars, Report, Section
from keytrail.sinks.reports.terms import Terms

MOST_ROWS = 10_000
PERIOD = {
    "since": "beginning of the period: 2026-01-01, 90d (the default) or 12h ago",
    "until": "end of the period (default: now)",
}
LIMIT = {"limit": f"most rows of each question ({MOST_ROWS})"}
_PLACE = re.compile(r"\{(\w+):[^}]*\}")


@dataclass(frozen=True)
class Question:
    """`sql` may hold places for the terms (`Terms.params`), for the report's own parameters and for `limit`.

    The rest as in `Section`.
    """

    title: str
    sql: str
    columns: tuple[str, ...]
    bars: Bars | None = None
    exceptions: bool = False

    @property
    def by_policy(self) -> bool:
        """Whether the answer depends on what the policy calls privileged or keeps apart."""
        return not {"privileged", "separations"}.isdisjoint(_PLACE.findall(self.sql))

    def ask(self, clickhouse: ClickHouse, params: Mapping[str, Param]) -> Section:
        """Raises as `ClickHouse.rows` does."""
        places = {name: params[name] for name in _PLACE.findall(self.sql)}
        rows = clickhouse.rows(self.sql, params=places)
        query = filled(self.sql, places)
        return Section(self.title, self.columns, rows, query, self.bars, self.exceptions)


def filled(sql: str, params: Mapping[str, Param]) -> str:
    """The statement with the values in it, for any client."""
    return _PLACE.sub(lambda place: _literal(params[place[1]]), sql).strip()


def _literal(value: Param) -> str:
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return text(value)
    return f"[{', '.join(map(_literal, value))}]"


def report_of(name: str, summary: str, questions: Sequence[Question], filters: Mapping[str, str]) -> Report:
    """A report that asks the questions one after the other; `filters` are its own parameters, '' for all."""

    def answer(clickhouse: ClickHouse, given: Mapping[str, str], terms: Terms) -> Answer:
        params = {**dict.fromkeys(filters, ""), **given, **terms.params(), "limit": row_limit(given)}
        sections = tuple(question.ask(clickhouse, params) for question in questions)
        return Answer(sections, tuple(cut_notes(sections, row_limit(given))))

    by_policy = any(question.by_policy for question in questions)
    return Report(name, summary, {**filters, **PERIOD, **LIMIT}, answer, by_policy)


def cut_notes(sections: Sequence[Section], limit: int) -> Iterator[str]:
    """A note for each section that may have more rows."""
    for section in sections:
        if len(section.rows) == limit:
            yield f"{section.title or 'These'}: the first {limit}; --param limit=N shows more."


def row_limit(given: Mapping[str, str]) -> int:
    """The parameter `limit`.  Raises `UsageError` where it is no number of rows."""
    stated = given.get("limit", str(MOST_ROWS))
    if stated.isascii() and stated.isdigit() and 0 < int(stated) <= 1_000_000:
        return int(stated)
    raise UsageError(f"limit={stated} is no number of rows.", "Give 1 to 1000000.")
