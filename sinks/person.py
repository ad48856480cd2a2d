"""What the tables hold on one person, and opening what is sealed with the person's keys."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from keytrail.schemas.privacy import DataKey, PrivacyError, sealed_with
from keytrail.sinks.clickhouse.http import ClickHouse

# Events have columns for people; in the other tables a name may stand in any column, but as a value of its
# own: "ann" is not in "anna".  A pseudonym is no part of anything else, and stands in sealed values too.
_QUOTED = (
    "position(formatRow('JSONEachRow', *),"
    " if(match(name, '^person-[0-9a-f]{32}$'), name, toJSONString(name))) > 0"
)
# A record that could not be used has bytes as they came: text in Avro's binary form comes after its length,
# twice it as a byte (up to 63), in JSON between quotes.
_IN_BYTES = (
    "position(ifNull(value, ''), concat(char(2 * length(name)), name)) > 0"
    " OR position(ifNull(value, ''), toJSONString(name)) > 0"
    " OR position(ifNull(value, ''), concat('\"', name, '\"')) > 0"
)
_ANYWHERE = f"arrayExists(name -> {_QUOTED}, {{names:Array(String)}})"
_WHERE: Final[Mapping[str, str]] = {
    "events": "has({names:Array(String)}, actor_id) OR has({names:Array(String)}, subject) "
    "OR has({names:Array(String)}, approved_by) OR has({names:Array(String)}, key_owner)",
    "keys": _ANYWHERE,
    "anomalies": _ANYWHERE,
    "dead_letters": f"{_ANYWHERE} OR arrayExists(name -> {_IN_BYTES}, {{names:Array(String)}})",
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
