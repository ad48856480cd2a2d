"""Legal holds: what must not be removed.

Each is an event, `legal_hold`, until another, `release_hold`, ends it.  They lie in the table themselves,
signed and proven like all, and retention never removes them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from keytrail.schemas.records import Micros
from keytrail.sinks.clickhouse.http import ClickHouse, Row, text, whole

HOLD = "legal_hold"
RELEASE = "release_hold"
SERVICE = "keytrail-retention"
PLAIN = "keytrail."  # how the names of attributes begin that privacy mode leaves readable
_TIMEOUT_S = 300.0
_MICROS = re.compile(r"\d{1,17}")
_HOLDS = (
    "SELECT toString(event_id) AS id, attributes, reason, actor_id, signature = 'verified' AS signed,"
    " toUnixTimestamp64Micro(occurred_at) AS at FROM events"
    " WHERE service = {service:String} AND action = {action:String} ORDER BY occurred_at, event_id"
)


@dataclass(frozen=True)
class Hold:
    """Events of one of the subjects or keys, as far as they happened from `since` to before `until`.

    No subject and no key: all events of the period.  No time: from ever, for ever.  A subject's events are
    those in which it is the subject, the actor, or who approved.
    """

    hold_id: str
    subjects: tuple[str, ...]
    keys: tuple[str, ...]
    since: Micros | None
    until: Micros | None
    reason: str
    actor: str
    at: Micros

    @property
    def condition(self) -> str:
        """Which rows of `events` it holds, in SQL."""
        whose = []
        if self.subjects:
            some = f"({', '.join(map(text, self.subjects))})"
            whose += [f"{column} IN {some}" for column in ("subject", "actor_id", "approved_by")]
        if self.keys:
            whose.append(f"key_id IN ({', '.join(map(text, self.keys))})")
        every = [f"({' OR '.join(whose)})"] if whose else []
        if self.since is not None:
            every.append(f"occurred_at >= fromUnixTimestamp64Micro({self.since})")
        if self.until is not None:
            every.append(f"occurred_at < fromUnixTimestamp64Micro({self.until})")
        return " AND ".join(every) or "1"

    def attributes(self) -> dict[str, str]:
        """For its event; `_hold` reads them."""
        return {
            f"{PLAIN}subjects": _lines(self.subjects),
            f"{PLAIN}keys": _lines(self.keys),
            f"{PLAIN}since": "" if self.since is None else str(self.since),
            f"{PLAIN}until": "" if self.until is None else str(self.until),
        }


def read_holds(clickhouse: ClickHouse) -> list[Hold]:
    """Those in force, the first one first.  A hold that was signed is ended by a signed release alone.

    Raises `UnavailableError`.
    """
    released = {(_attributes(row)["hold_id"], bool(row["signed"])) for row in _events(clickhouse, RELEASE)}
    return [
        _hold(row)
        for row in _events(clickhouse, HOLD)
        if (row["id"], True) not in released and (row["signed"] or (row["id"], False) not in released)
    ]


def held(holds: Sequence[Hold]) -> str:
    """Which rows of `events` are held, and those that tell of holds and cuts, in SQL."""
    return " OR ".join([f"service = {text(SERVICE)}", *(f"({hold.condition})" for hold in holds)])


def _events(clickhouse: ClickHouse, action: str) -> Sequence[Row]:
    params = {"service": SERVICE, "action": action}
    return list(clickhouse.rows(_HOLDS, params=params, timeout_s=_TIMEOUT_S))


def _hold(row: Row) -> Hold:
    attributes = _attributes(row)
    since, until = (
        int(attributes[name]) if _MICROS.fullmatch(attributes[name]) else None for name in ("since", "until")
    )
    return Hold(
        str(row["id"]),
        tuple(attributes["subjects"].splitlines()),
        tuple(attributes["keys"].splitlines()),
        None if since is None else Micros(since),
        None if until is None else Micros(until),
        str(row["reason"]),
        str(row["actor_id"]),
        Micros(whole(row, "at")),
    )


def _attributes(row: Row) -> dict[str, str]:
    found = row["attributes"]
    pairs = found.items() if isinstance(found, dict) else ()
    given = {str(name).removeprefix(PLAIN): str(value) for name, value in pairs}
    return {"hold_id": "", "subjects": "", "keys": "", "since": "", "until": "", **given}


def _lines(names: Sequence[str]) -> str:
    return "\n".join(names)
