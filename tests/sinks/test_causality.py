"""Events in causal order, whatever the clocks say and whatever hostile spans claim."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from keytrail.sinks.clickhouse.http import Row
from keytrail.sinks.reports.causality import in_causal_order


def row(name: str, at: int, *, trace: str = "t", span: str = "", parent: str = "", kind: str = "") -> Row:
    return {
        "event_id": name,
        "occurred_at": f"2026-01-01 00:00:{at:02}.000000",
        "trace_id": trace,
        "span_id": span,
        "parent_span_id": parent,
        "span_kind": kind,
    }


def a_span(name: str, at: int, parent: str = "", trace: str = "t") -> Row:
    return row(name, at, trace=trace, span=name, parent=parent, kind="server")


def order(rows: Sequence[Row]) -> list[tuple[str, int]]:
    return [(str(row["event_id"]), int(str(row["depth"]))) for row in in_causal_order(rows)]


def test_a_called_span_comes_after_its_caller_though_its_clock_is_behind() -> None:
    rows = [a_span("called", 1, "caller"), a_span("caller", 30), a_span("deeper", 0, "called")]
    assert order(rows) == [("caller", 0), ("called", 1), ("deeper", 2)]


def test_siblings_are_in_order_of_time() -> None:
    rows = [a_span("root", 0), a_span("second", 2, "root"), a_span("first", 1, "root")]
    assert [name for name, _ in order(rows)] == ["root", "first", "second"]


def test_what_is_recorded_in_a_span_lies_between_what_the_span_calls() -> None:
    rows = [
        a_span("root", 1),
        row("before", 2, span="root"),
        a_span("call", 3, "root"),
        row("after", 4, span="root"),
        row("early by its clock", 0, span="root"),
    ]
    names = ["root", "early by its clock", "before", "call", "after"]
    assert order(rows) == [(name, int(name != "root")) for name in names]


def test_without_spans_the_time_decides() -> None:
    rows = [row("b", 2, span="s"), row("a", 1, span="s"), row("c", 3, trace=""), row("d", 3, span="other")]
    assert order(rows) == [("a", 0), ("b", 0), ("c", 0), ("d", 0)]


def test_traces_are_not_mixed() -> None:
    rows = [a_span("a1", 1, trace="a"), a_span("b", 2, trace="b"), a_span("a2", 3, "a1", trace="a")]
    assert [name for name, _ in order(rows)] == ["a1", "a2", "b"]


def test_a_parent_of_another_trace_is_none() -> None:
    rows = [a_span("p", 5, trace="a"), a_span("c", 1, "p", trace="b")]
    assert order(rows) == [("c", 0), ("p", 0)]


def test_a_chain_of_ten_thousand_calls_is_no_trouble() -> None:
    rows = [a_span(f"s{n:05}", n % 60, f"s{n - 1:05}" if n else "") for n in range(10_000)]
    assert order(rows)[-1] == ("s09999", 9_999)


SPAN_NAMES = st.sampled_from(["", "a", "b", "c"])


@given(
    st.lists(
        st.tuples(st.integers(0, 59), st.sampled_from(["", "t", "u"]), SPAN_NAMES, SPAN_NAMES, SPAN_NAMES),
        max_size=12,
    )
)
def test_every_row_comes_once(drawn: list[tuple[int, str, str, str, str]]) -> None:
    rows = [
        row(str(number), at, trace=trace, span=span, parent=parent, kind=kind)
        for number, (at, trace, span, parent, kind) in enumerate(drawn)
    ]
    found = in_causal_order(rows)
    assert sorted(str(one["event_id"]) for one in found) == sorted(str(one["event_id"]) for one in rows)
    assert [one["step"] for one in found] == list(range(1, len(rows) + 1))
