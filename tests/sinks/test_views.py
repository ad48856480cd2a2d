"""The views say what a plain replay of the same events says, however late and in whatever order they came."""

import random
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from own_tables import FIRST, grant, insert, moment, own_tables

from keytrail.schemas.settings import Settings
from keytrail.sinks.clickhouse.http import ClickHouse

HISTORIES = 12  # a run of hypothesis: one insert is as dear as many
ROLES = ("reader", "admin", "it's odd\\")


@dataclass(frozen=True)
class Step:
    """One event of a history; `hour` is when it happened, `other` whether somebody else acted."""

    hour: int
    action: str
    role: str
    outcome: str
    other: bool
    named: bool


@dataclass(frozen=True)
class Row:
    at: datetime
    event_id: str
    step: Step
    subject: str

    def columns(self) -> dict[str, object]:
        step = self.step
        actor = "boss" if step.other else self.subject
        # An event about its actor may leave the subject out.
        subject = "" if actor == self.subject and not step.named else self.subject
        return {
            "event_id": self.event_id,
            "occurred_at": moment(self.at),
            "action": step.action,
            "actor_id": actor,
            "subject": subject,
            "role": step.role,
            "outcome": step.outcome,
            "key_id": f"key-{self.event_id[:4]}",
            "reason": f"because {self.event_id[:4]}",
            "service": "iam",
        }


STEPS = st.builds(
    Step,
    hour=st.integers(0, 40),  # few, so that some fall together
    action=st.sampled_from(["grant", "grant", "revoke", "use", "delete", "login", "approve"]),
    role=st.sampled_from([*ROLES, ""]),
    outcome=st.sampled_from(["success", "success", "success", "denied"]),
    other=st.booleans(),
    named=st.booleans(),
)


def held_in(rows: Iterable[Row]) -> dict[str, Row]:
    """Replay: what is held after these events, by role, with the grant in force."""
    held: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: (row.at, row.event_id)):
        step = row.step
        if step.outcome != "success":
            continue
        if step.action == "grant" and step.role:
            held[step.role] = row
        elif step.action == "revoke" and step.role:
            held.pop(step.role, None)
        elif step.action == "delete" and not step.role and step.other:
            held.clear()
    return held


def last_uses(rows: Iterable[Row]) -> dict[str, datetime]:
    uses: dict[str, datetime] = {}
    for row in rows:
        step = row.step
        if step.outcome == "success" and step.role and step.action not in {"grant", "revoke"}:
            uses[step.role] = max(uses.get(step.role, row.at), row.at)
    return uses


@pytest.fixture(scope="module")
def tables(settings: Settings) -> Iterator[ClickHouse]:
    with own_tables(settings, "views") as (_, clickhouse):
        yield clickhouse


@given(
    histories=st.lists(st.lists(STEPS, min_size=1, max_size=25), min_size=HISTORIES, max_size=HISTORIES),
    hour=st.integers(0, 41),
    seed=st.integers(0, 2**32),
)
@hypothesis_settings(max_examples=20)
def test_current_access_and_access_as_of_are_what_a_replay_says(
    tables: ClickHouse, histories: list[list[Step]], hour: int, seed: int
) -> None:
    chance = random.Random(seed)
    run = uuid.uuid4().hex
    rows = {
        f"{run}-{number}": [
            Row(
                FIRST + timedelta(hours=step.hour),
                str(uuid.UUID(int=chance.getrandbits(128))),
                step,
                f"{run}-{number}",
            )
            for step in history
        ]
        for number, history in enumerate(histories)
    }
    # In any order, and in two inserts: what is late comes in another part.
    every = [row for history in rows.values() for row in history]
    chance.shuffle(every)
    middle = len(every) // 2
    for part in (every[:middle], every[middle:]):
        insert(tables, (row.columns() for row in part))

    cut = FIRST + timedelta(hours=hour)
    mine = {"run": f"{run}-", "at": moment(cut)}
    now = tables.rows("SELECT * FROM current_access WHERE startsWith(subject, {run:String})", params=mine)
    then = tables.rows(
        "SELECT * FROM access_as_of(at = {at:String}) WHERE startsWith(subject, {run:String})", params=mine
    )
    assert said(now) == {
        (subject, role, row.event_id) for subject, some in rows.items() for role, row in held_in(some).items()
    }
    assert said(then) == {
        (subject, role, row.event_id)
        for subject, some in rows.items()
        for role, row in held_in(row for row in some if row.at <= cut).items()
    }
    for row in now:
        used = last_uses(rows[str(row["subject"])]).get(str(row["role"]))
        assert row["last_used"] == (None if used is None else moment(used))
        assert row["key_id"] == f"key-{str(row['event_id'])[:4]}"
    for subject in chance.sample(sorted(rows), 2):
        alone = tables.rows("SELECT * FROM current_access WHERE subject = {s:String}", params={"s": subject})
        assert said(alone) == {found for found in said(now) if found[0] == subject}


def said(rows: Iterable[Mapping[str, object]]) -> set[tuple[str, str, str]]:
    return {(str(row["subject"]), str(row["role"]), str(row["event_id"])) for row in rows}


def test_settings_of_the_asker_change_nothing(tables: ClickHouse) -> None:
    insert(tables, [grant("nulls", "reader", 1)])
    answer = tables.run(
        "SELECT count() FROM current_access WHERE subject = 'nulls' SETTINGS join_use_nulls = 1"
    )
    assert answer == b"1\n"


@pytest.mark.parametrize("projection", ["changes", "uses"])
def test_rows_without_a_projection_count_as_those_with_one(tables: ClickHouse, projection: str) -> None:
    """As while a migration builds it, and after rows were removed."""
    who = f"half {projection}"
    insert(tables, [grant(who, "old", 1), grant(who, "old", 2, "use"), grant(who, "gone", 3)])
    tables.run(f"ALTER TABLE events CLEAR PROJECTION {projection} SETTINGS mutations_sync = 2")
    insert(tables, [grant(who, "new", 4), grant(who, "old", 5, "use"), grant(who, "cut", 6)])
    insert(tables, [grant(who, "gone", 7, "revoke")])
    tables.run(
        f"ALTER TABLE events DELETE WHERE subject = '{who}' AND role = 'cut' SETTINGS mutations_sync = 2"
    )
    held = tables.rows(
        "SELECT role, last_used FROM current_access WHERE subject = {who:String} ORDER BY role",
        params={"who": who},
    )
    assert [tuple(row.values()) for row in held] == [
        ("new", None),
        ("old", moment(FIRST + timedelta(hours=5))),
    ]


def test_projections_are_taken_where_most_events_are_uses(settings: Settings) -> None:
    with own_tables(settings, "busy") as (_, tables):
        tables.run(
            "INSERT INTO events (event_id, occurred_at, action, actor_id, subject, role, outcome, service) "
            "SELECT generateUUIDv7(), now64(6) - number, if(number % 997 = 0, 'grant', 'use'), 'boss', "
            "concat('busy ', toString(number % 500)), 'reader', 'success', 'iam' FROM numbers(30000)"
        )
        plan = tables.run("EXPLAIN SELECT * FROM current_access").decode()
        assert "ReadFromMergeTree (changes)" in plan
        assert "ReadFromMergeTree (uses)" in plan


def test_unused_access(tables: ClickHouse) -> None:
    now = datetime.now(UTC)
    old, lately = moment(now - timedelta(days=40)), moment(now - timedelta(hours=23))
    insert(
        tables,
        [
            grant("idle", "never", 0, occurred_at=old),
            grant("idle", "long ago", 0, occurred_at=moment(now - timedelta(days=90))),
            grant("idle", "long ago", 0, "use", occurred_at=old),
            grant("idle", "lately", 0, occurred_at=old),
            grant("idle", "lately", 0, "use", occurred_at=lately),
        ],
    )
    rows = tables.rows(
        "SELECT role, last_used, unused_days FROM unused_access WHERE subject = 'idle' ORDER BY role"
    )
    assert [(row["role"], row["unused_days"]) for row in rows] == [("long ago", 40), ("never", 40)]
    assert [row["last_used"] is None for row in rows] == [False, True]


def test_unattributed(tables: ClickHouse) -> None:
    insert(
        tables,
        [
            grant("lost", "a", 1, key_id=""),
            grant("lost", "b", 2, reason=""),
            grant("lost", "c", 3, reason="", ticket="T-1", key_id="", key_alias="sha256:1"),
            grant("lost", "d", 4, "revoke", reason="", key_id=""),
            grant("lost", "e", 5, key_id="", outcome="denied"),
            grant("lost", "f", 6, "use", key_id="", reason=""),
        ],
    )
    rows = tables.rows("SELECT role, missing FROM unattributed WHERE subject = 'lost' ORDER BY role")
    assert [(row["role"], row["missing"]) for row in rows] == [
        ("a", ["key"]),
        ("b", ["reason"]),
        ("d", ["key", "reason"]),
    ]


def test_key_activity(tables: ClickHouse) -> None:
    insert(
        tables,
        [
            grant("a", "x", 1, key_id="busy"),
            grant("b", "x", 2, "revoke", key_id="busy", outcome="denied"),
            grant("", "", 3, "login", key_id="busy", actor_id="ann"),
            grant("a", "x", 30, "use", key_id="busy"),
        ],
    )
    rows = tables.rows(
        "SELECT day, events, changes, refused, actors, subjects FROM key_activity "
        "WHERE key_id = 'busy' ORDER BY day"
    )
    assert [list(row.values()) for row in rows] == [
        ["2026-01-01", 3, 2, 1, 2, 2],
        ["2026-01-02", 1, 0, 0, 1, 1],
    ]


def test_key_lineage(tables: ClickHouse) -> None:
    def key(key_id: str, parent: str, status: str = "active", version: int = 1) -> dict[str, object]:
        return {"key_id": key_id, "version": version, "parent_key": parent, "status": status, "owner": "o"}

    chain = [key("top", ""), key("mid", "top"), key("low", "mid"), key("lost", "nobody knows it")]
    insert(tables, [*chain, key("mid", "top", "revoked", 2), key("a", "b"), key("b", "a")], "keys")
    rows = tables.rows("SELECT key_id, depth, root, path, revoked_above FROM key_lineage ORDER BY key_id")
    assert [list(row.values()) for row in rows] == [
        ["lost", 0, "lost", ["lost"], []],
        ["low", 2, "top", ["top", "mid", "low"], ["mid"]],
        ["mid", 1, "top", ["top", "mid"], []],
        ["top", 0, "top", ["top"], []],
    ]


def test_sprawl_by_team(tables: ClickHouse) -> None:
    week, team = 7 * 24, {"attributes": {"team": "sprawling"}}
    insert(
        tables,
        [
            grant("s1", "a", 1, **team),
            grant("s1", "a", 2, **team),
            grant("s1", "b", 3, **team),
            grant("s2", "a", week, **team),
            grant("s1", "b", week + 1, "revoke", **team),
            grant("s1", "", 3 * week, "delete", **team),
            grant("s3", "a", 1),
        ],
    )
    rows = tables.rows("SELECT * FROM sprawl_by_team WHERE team = 'sprawling' ORDER BY week")
    assert [(row["week"], row["subjects"], row["roles"], row["roles_per_subject"]) for row in rows] == [
        ("2025-12-29", 1, 2, 2),
        ("2026-01-05", 2, 2, 1),
        ("2026-01-19", 1, 1, 1),
    ]
    assert tables.rows("SELECT * FROM sprawl_of_team(team = 'sprawling') ORDER BY week") == rows
    unstated = tables.rows("SELECT * FROM sprawl_by_team WHERE team = 'service:iam' ORDER BY week")
    assert unstated
    assert tables.rows("SELECT * FROM sprawl_of_team(team = 'service:iam') ORDER BY week") == unstated


def test_every_column_of_every_table_says_what_it_is(tables: ClickHouse) -> None:
    silent = tables.rows(
        "SELECT table, name FROM system.columns WHERE database = currentDatabase() AND comment = ''"
    )
    assert silent == []
