"""What the tables hold on one person, and opening what is sealed with the person's keys."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from keytrail.schemas.privacy import DataKey, PrivacyError, sealed_with
from keytrail.sinks.clickhouse.http import ClickHouse

# Events have columns for people; in the other tables a name may stand anywhere.
_ANYWHERE = "arrayExists(name -> position(formatRow('JSONEachRow', *), name) > 0, {names:Array(String)})"
_WHERE: Final[Mapping[str, str]] = {
    "events": "has({names:Array(String)}, actor_id) OR has({names:Array(String)}, subject) "
    "OR has({names:Array(String)}, approved_by) OR has({names:Array(String)}, key_owner)",
    "keys": _ANYWHERE,
    "anomalies": _ANYWHERE,
    "dead_letters": _ANYWHERE,
}

Row = Mapping[str, object]


def rows_of(clickhouse: ClickHouse, names: Sequence[str]) -> Iterator[tuple[str, Row]]:
    """Each table's name with a row that names the person.  Raises as `ClickHouse.rows`."""
    for table, where in _WHERE.items():
        for row in clickhouse.rows(f"SELECT * FROM {table} WHERE {where}", params={"names": names}):  # noqa: S608  # both are constants
            yield table, row


def opened(row: Row, keys: Mapping[tuple[str, str], DataKey]) -> dict[str, object]:
    """The row with each value open that one of these keys sealed; others stay sealed."""
    identity = str(row.get("event_id") or row.get("key_id") or "")

    def one(value: object, name: str) -> object:
        if isinstance(value, dict):
            return {key: one(item, f"{name}.{key}") for key, item in value.items()}
        if not isinstance(value, str) or (place := sealed_with(value)) is None or place not in keys:
            return value
        try:
            return keys[place].open(value, f"{identity}/{name}")
        except PrivacyError:
            # Moved or changed by somebody: shown as it is.
            return value

    return {name: one(value, name) for name, value in row.items()}
