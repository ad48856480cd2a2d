"""Events in causal order: a span comes after the one that called it, whatever the services' clocks say."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from keytrail.sinks.clickhouse.http import Row

_Moment: TypeAlias = tuple[str, str]


@dataclass
class _Span:
    """A span as far as the rows tell: its record of itself, what else was recorded in it, what it called."""

    record: Row | None = None
    events: list[Row] = field(default_factory=list)
    children: list["_Span"] = field(default_factory=list)
    parent: tuple[str, str] | None = None

    @property
    def begins(self) -> _Moment:
        return min(map(_moment, [self.record] if self.record else self.events))


def in_causal_order(rows: Sequence[Row]) -> list[Row]:
    """The rows, each with `step` (from 1) and `depth` (how many spans among the rows it lies in).

    A span's record of itself (it has a `span_kind`) comes before what was recorded in that span and before
    the spans that name it as their `parent_span_id`.  Else the time decides, by each service's own clock.
    """
    spans: dict[tuple[str, str], _Span] = {}
    alone: list[_Span] = []
    for row in sorted(rows, key=_moment):
        key = (str(row["trace_id"]), str(row["span_id"]))
        if not all(key):
            alone.append(_Span(row))
            continue
        span = spans.setdefault(key, _Span())
        if row["span_kind"] and span.record is None:
            span.record = row
        else:
            span.events.append(row)
        if span.parent is None and row["parent_span_id"]:
            span.parent = (key[0], str(row["parent_span_id"]))
    for span in spans.values():
        if span.parent in spans:
            spans[span.parent].children.append(span)
        else:
            alone.append(span)
    # Spans that name one another as parents, as no tracer would, are reached from no root.
    roots = sorted(alone, key=_begins), sorted(spans.values(), key=_begins)
    seen: set[int] = set()
    walked = (item for some in roots for item in _walk(some, seen))
    return [{"step": step, "depth": depth, **row} for step, (depth, row) in enumerate(walked, 1)]


def _walk(roots: Sequence[_Span], seen: set[int]) -> Iterator[tuple[int, Row]]:
    """Depth first, without recursion: a chain of calls may be as long as there are rows."""
    pending: list[tuple[int, _Span | Row]] = [(0, root) for root in reversed(roots)]
    while pending:
        depth, item = pending.pop()
        if not isinstance(item, _Span):
            yield depth, item
        elif id(item) not in seen:
            seen.add(id(item))
            inner_depth = depth
            if item.record:
                yield depth, item.record
                inner_depth += 1
            inner: list[tuple[_Moment, int, _Span | Row]] = [
                *((_moment(event), inner_depth, event) for event in item.events),
                *((child.begins, depth + 1, child) for child in item.children),
            ]
            inner.sort(key=lambda one: one[0], reverse=True)
            pending += [(at_depth, one) for _, at_depth, one in inner]


def _begins(span: _Span) -> _Moment:
    return span.begins


def _moment(row: Row) -> _Moment:
    return str(row["occurred_at"]), str(row["event_id"])
