"""A database of a module's own, with all tables and views, and rows of it by hand."""

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from keytrail.schemas.settings import Settings
from keytrail.sinks.clickhouse.http import ClickHouse
from keytrail.sinks.clickhouse.migrate import migrate

FIRST = datetime(2026, 1, 1, tzinfo=UTC)


@contextmanager
def own_tables(settings: Settings, name: str) -> Iterator[tuple[Settings, ClickHouse]]:
    fresh = replace(settings, database=f"{name}_{uuid.uuid4().hex}")
    migrate(fresh)
    clickhouse = ClickHouse(fresh.clickhouse, database=fresh.database)
    yield fresh, clickhouse
    clickhouse.run(f"DROP DATABASE {fresh.database}")


def insert(clickhouse: ClickHouse, rows: Iterable[Mapping[str, object]], table: str = "events") -> None:
    lines = [json.dumps(row).encode() + b"\n" for row in rows]
    if lines:
        clickhouse.run(f"INSERT INTO {table} FORMAT JSONEachRow", data=lines)


def moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S.%f")


def grant(subject: str, role: str, hour: int, action: str = "grant", **fields: object) -> dict[str, object]:
    """An event that boss made so many hours after `FIRST`, or another with these fields."""
    return {
        "event_id": str(uuid.uuid4()),
        "occurred_at": moment(FIRST + timedelta(hours=hour)),
        "service": "iam",
        "actor_id": "boss",
        "action": action,
        "subject": subject,
        "role": role,
        "outcome": "success",
        "key_id": "k1",
        "reason": "asked",
        **fields,
    }
