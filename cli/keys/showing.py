"""Keys as rows: `show`, `list`, and those that were discovered."""

from collections.abc import Mapping, Sequence

from keytrail.cli.moments import show_moment
from keytrail.cli.output import print_json, print_table, progress
from keytrail.producers.clock import system_clock
from keytrail.producers.key_log import KeyLog
from keytrail.schemas.avro import as_mapping
from keytrail.schemas.records import Key, Micros
from keytrail.schemas.settings import Settings
from keytrail.sinks.clickhouse.http import ClickHouse

_LISTED = ("key_id", "owner", "kind", "team", "status", "issued_at", "expires_at")
_DISCOVERED = ("key_id", "first_seen", "last_seen", "uses", "actors", "services")
_ALL_DISCOVERED = (
    "SELECT key_id, first_seen, last_seen, uses, actors, services FROM keys_discovered ORDER BY 2, 1"
)


def show(known: KeyLog, key_id: str, as_json: bool) -> int:
    row = _row(known.get(key_id), system_clock())
    if as_json:
        print_json([row])
    else:
        print_table(("field", "value"), [(name, value) for name, value in row.items() if value])
    return 0


def list_keys(known: KeyLog, as_json: bool) -> int:
    """Exit code 1 where some key's record cannot be read."""
    now = system_clock()
    keys = sorted(known.keys.values(), key=lambda key: (key.owner, key.issued_at))
    _print([_row(key, now) for key in keys], _LISTED, as_json)
    for key_id in known.unreadable:
        progress(f"The latest record of key {key_id} cannot be read.")
    return 1 if known.unreadable else 0


def list_discovered(settings: Settings, as_json: bool) -> int:
    """Keys that events name and nobody registered."""
    clickhouse = ClickHouse(settings.clickhouse, database=settings.database)
    rows = clickhouse.rows(_ALL_DISCOVERED)
    _print(rows, _DISCOVERED, as_json)
    return 0


def _print(rows: Sequence[Mapping[str, object]], columns: tuple[str, ...], as_json: bool) -> None:
    if as_json:
        print_json(rows)
    else:
        print_table(columns, ([row[name] for name in columns] for row in rows))


def _row(key: Key, now: Micros) -> dict[str, object]:
    """The key's fields, its times as text, and its status as of `now`."""
    row = {
        name: show_moment(getattr(key, name)) if name.endswith("_at") else value
        for name, value in as_mapping(key).items()
    }
    row["suspensions"] = [[show_moment(over.since), show_moment(over.until)] for over in key.suspensions]
    for name in ("secret_since", "old_secrets_until"):
        row[name] = show_moment(getattr(key, name) or None)
    if key.status == "active" and key.expires_at is not None and key.expires_at <= now:
        row["status"] = "expired"
    return row
