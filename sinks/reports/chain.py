"""`chain`: all that was done with a key, over every service, causes before effects.

To a key belong its lineage (the keys that it replaced and that replaced it), and what was done without a
key in the same traces.  The column `via` says `asked` of an event with the key, `trace` of one without.
"""

from collections.abc import Mapping

from keytrail.schemas.attributes import PARENT_SPAN, SPAN_KIND
from keytrail.schemas.errors import UsageError
from keytrail.sinks.clickhouse.http import ClickHouse, Param
from keytrail.sinks.reports.causality import in_causal_order
from keytrail.sinks.reports.question import MOST_ROWS, row_limit
from keytrail.sinks.reports.report import Answer, Report, Section
from keytrail.sinks.reports.terms import Terms

_LONGEST_LINEAGE = 1_000
_COLUMNS = (
    *("step", "occurred_at", "service", "actor_id", "key_id", "action", "subject", "role", "resource"),
    *("outcome", "reason", "ticket"),
)

_NEIGHBOURS = """
SELECT key_id, predecessor, successor FROM keys_current
WHERE has({ids:Array(String)}, key_id) OR has({ids:Array(String)}, predecessor)
   OR has({ids:Array(String)}, successor)
"""

_CHOSEN_BY = {
    "key_id": "key_id IN {keys:Array(String)}",
    "trace_id": "trace_id = {trace:String}",
    "subject": "(subject = {subject:String} OR (subject = '' AND actor_id = {subject:String}))",
}

# The times keep the search for the rest of a trace to a few parts of the table.
_EVENTS = """
WITH
    chosen AS (
        SELECT event_id, trace_id, occurred_at FROM events
        WHERE %s
        ORDER BY occurred_at, event_id
        LIMIT {limit:UInt32}
    )
SELECT
    toString(events.event_id) AS event_id, toString(events.occurred_at) AS occurred_at, service, environment,
    actor_id, actor_type, key_id, key_owner, key_status, action, subject, role, resource, reason, ticket,
    approved_by, outcome, error, source_ip, trace_id, span_id,
    attributes[{parent:String}] AS parent_span_id, attributes[{kind:String}] AS span_kind, findings,
    if(events.event_id IN (SELECT event_id FROM chosen), 'asked', 'trace') AS via
FROM events
WHERE events.occurred_at BETWEEN (SELECT min(occurred_at) - INTERVAL 1 DAY FROM chosen)
                             AND (SELECT max(occurred_at) + INTERVAL 1 DAY FROM chosen)
  AND (
        events.event_id IN (SELECT event_id FROM chosen)
        OR (
            events.key_id = '' AND events.trace_id != ''
            AND events.trace_id IN (SELECT trace_id FROM chosen)
        )
  )
ORDER BY events.occurred_at, events.event_id
LIMIT {limit:UInt32}
"""


def _answer(clickhouse: ClickHouse, given: Mapping[str, str], _terms: Terms) -> Answer:
    chosen_by = [condition for name, condition in _CHOSEN_BY.items() if given.get(name)]
    if not chosen_by:
        raise UsageError("A chain needs a beginning.", "Give --param key_id=ID, trace_id=ID or subject=NAME.")
    limit = row_limit(given)
    keys = _lineage(clickhouse, given["key_id"]) if given.get("key_id") else []
    places: dict[str, Param] = {
        "keys": keys,
        "trace": given.get("trace_id", "").lower(),
        "subject": given.get("subject", ""),
        "parent": PARENT_SPAN,
        "kind": SPAN_KIND,
        "limit": limit,
    }
    rows = clickhouse.rows(_EVENTS % " AND ".join(chosen_by), params=places)
    notes = [f"Keys of this lineage: {', '.join(keys)}."] if len(keys) > 1 else []
    if len(rows) == limit:
        notes.append(f"These are the earliest {limit}; --param limit=N shows more.")
    return Answer((Section("", _COLUMNS, in_causal_order(rows)),), tuple(notes))


def _lineage(clickhouse: ClickHouse, key_id: str) -> list[str]:
    """The key and all that it replaced or was replaced by, the oldest first."""
    before: dict[str, set[str]] = {}
    known, asked = {key_id}, set[str]()
    while (ask := known - asked) and len(known) < _LONGEST_LINEAGE:
        asked |= ask
        for row in clickhouse.rows(_NEIGHBOURS, params={"ids": sorted(ask)}):
            key, predecessor, successor = (str(row[name]) for name in ("key_id", "predecessor", "successor"))
            known |= {name for name in (key, predecessor, successor) if name}
            for older, newer in ((predecessor, key), (key, successor)):
                if older and newer:
                    before.setdefault(newer, set()).add(older)
    return _oldest_first(known, before)


def _oldest_first(keys: set[str], before: Mapping[str, set[str]]) -> list[str]:
    ordered: dict[str, None] = {}
    left = sorted(keys)
    while left:
        # Keys that replace one another in a circle are wrong; they come all the same.
        free = [key for key in left if before.get(key, set()) <= ordered.keys()] or left
        ordered |= dict.fromkeys(free)
        left = [key for key in left if key not in ordered]
    return list(ordered)


REPORT = Report(
    name="chain",
    summary="all that was done with a key, over every service, causes before effects",
    params={
        "key_id": "the key; those that it replaced and that replaced it come along",
        "trace_id": "one trace, 32 hex digits",
        "subject": "whose access it is about",
        "limit": f"most rows, the earliest ones ({MOST_ROWS})",
    },
    answer=_answer,
)
