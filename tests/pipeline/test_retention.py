"""Retention through a running pipeline: what is due goes, what is held stays, and nothing looks lost."""

import json
import uuid
from collections.abc import Iterator

import pytest
from running import Pipeline
from scratch_stack import running_stack
from waiting import wait_until
from world import event

from keytrail.cli.retention_record import Author, Record
from keytrail.producers.clock import system_clock
from keytrail.producers.ids import UuidV7
from keytrail.producers.publisher import EventPublisher
from keytrail.schemas.privacy import is_pseudonym
from keytrail.schemas.records import Micros
from keytrail.schemas.settings import sections_below
from keytrail.sinks.clickhouse.http import whole
from keytrail.sinks.proof.audit import Audit
from keytrail.sinks.proof.comparison import Kind
from keytrail.sinks.proof.keyring import KeyringFile
from keytrail.sinks.proof.leaf_sql import LEAF_HASH, WITH
from keytrail.sinks.retention.classes import read_classes
from keytrail.sinks.retention.cuts import CUT, digest_of, true_cuts
from keytrail.sinks.retention.cutting import Cutting, Prepared
from keytrail.sinks.retention.holds import SERVICE

CONFIG = """
[retention.evidence]
actions = "grant, revoke*"
keep = "7y"

[retention.uses]
services = "app-*"
keep = "90d"
"""
DAY = 86_400_000_000
WHY = ("--reason", "test", "--actor", "anna")
OLD, YOUNG, GRANTS, HELD = 600, 50, 40, 30
PLACE = (
    "kafka_incarnation, kafka_partition, kafka_offset, source_partition, source_offset, enriched_at, "
    "recorded_at, producer_id, sequence"
)
LAST = 8  # of each kind, sent last, so that all of the others lie before each partition's newest block


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    folder = tmp_path_factory.mktemp("retention")
    config = folder / "keytrail.toml"
    config.write_text(CONFIG)
    with (
        running_stack(folder / "data", workers=1, sinks=1, notary=True) as settings,
        pytest.MonkeyPatch.context() as patched,
    ):
        patched.setenv("KEYTRAIL_CONFIG", str(config))
        made = Pipeline(settings)
        assert made.command("keys", "issue", "--owner", "sam", "--kind", "service", *WHY) == 0
        send(made)
        # The commands run on the day on which the old events, and these alone, are 90 days old.
        patched.setattr("keytrail.cli.retention.system_clock", lambda: after_old(made, 90))
        yield made


def after_old(pipeline: Pipeline, days: int) -> Micros:
    """So many days after the last old event came."""
    [row] = pipeline.clickhouse.rows(
        "SELECT toUnixTimestamp64Micro(max(enriched_at)) AS at FROM events"
        " WHERE service = 'app-1' AND reason = 'old'"
    )
    return Micros(whole(row, "at") + 1 + days * DAY)


def send(pipeline: Pipeline) -> None:
    """The old ones, and when they are stored the young ones, whose service says they happened long before."""
    old = (("bob", OLD, "use"), ("bob", GRANTS, "grant"), ("carl", HELD, "use"))
    last = tuple((subject, LAST, action) for subject, _, action in old)
    sent = 0
    for reason, years_ago, kinds in (
        ("old", 0, old),
        ("young", 10, (("bob", YOUNG, "use"),)),
        ("last", 0, last),
    ):
        publisher = EventPublisher(pipeline.settings)
        for subject, count, action in kinds:
            for number in range(count):
                at = Micros(system_clock() - years_ago * 365 * DAY)
                publisher.publish(
                    event(
                        service="app-1",
                        action=action,
                        subject=f"{subject}-{number % 8}" if subject == "bob" else subject,
                        occurred_at=at,
                        recorded_at=at,
                        reason=reason,
                    ),
                    wait=True,
                )
            sent += count
        publisher.close(60)
        wait_for_events(pipeline, sent)


def wait_for_events(pipeline: Pipeline, count: int) -> None:
    wait_until(lambda: counted(pipeline, "1") == count, lambda: f"{counted(pipeline, '1')} of {count}")


def counted(pipeline: Pipeline, condition: str) -> int:
    [row] = pipeline.clickhouse.rows(
        f"SELECT count() AS n FROM events WHERE service = 'app-1' AND {condition}"
    )
    return int(str(row["n"]))


OLD_USES = "action = 'use' AND reason = 'old'"
OLD_GRANTS = "action = 'grant' AND reason = 'old'"


def signed_all(pipeline: Pipeline) -> bool:
    """Whether every row is behind a checkpoint."""
    rows = pipeline.clickhouse.rows(
        "SELECT 1 AS it "
        "FROM (SELECT kafka_partition, max(kafka_offset) AS last FROM events GROUP BY ALL) AS e "
        "LEFT JOIN (SELECT kafka_partition, max(before) AS signed FROM checkpoints GROUP BY ALL) AS c "
        "USING (kafka_partition) WHERE signed <= last"
    )
    return not rows


def test_what_is_due_goes_and_nothing_looks_lost(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pipeline.command("hold", "add", "--subject", "carl", *WHY) == 0
    hold_id = capsys.readouterr().out.strip()
    wait_until(lambda: signed_all(pipeline), "all rows are signed")
    shown = show(pipeline, capsys)
    assert shown[0]["due"] == 0
    assert (shown[1]["due"], shown[1]["held"]) == (OLD, HELD)

    assert pipeline.command("retention", "apply", *WHY) == 0
    assert counted(pipeline, OLD_USES) == HELD
    assert counted(pipeline, "action = 'grant'") == GRANTS + LAST
    assert counted(pipeline, "reason = 'young'") == YOUNG
    [cut] = [row for row in show(pipeline, capsys) if "cut_id" in row]
    assert (cut["name"], cut["rows"], cut["actor"], cut["reason"]) == ("uses", OLD, "anna", "test")
    assert cut["signed"] is True
    assert pipeline.command("status", "--check") == 0
    assert pipeline.command("status", "--producers") == 0
    assert pipeline.command("verify") == 0
    assert pipeline.command("verify", "--only", "clickhouse") == 0
    for neighbour in pipeline.clickhouse.rows(
        "SELECT argMin(event_id, kafka_offset) AS event_id FROM events WHERE service = 'app-1' "
        "GROUP BY kafka_partition"
    ):
        assert pipeline.command("prove", str(neighbour["event_id"])) == 0

    # Again: nothing is due.  Released: what was held goes as well.
    assert pipeline.command("retention", "apply", *WHY) == 0
    assert counted(pipeline, OLD_USES) == HELD
    assert pipeline.command("hold", "release", hold_id, *WHY) == 0
    assert pipeline.command("retention", "apply", *WHY) == 0
    assert counted(pipeline, OLD_USES) == 0
    assert pipeline.command("status", "--check") == 0
    assert pipeline.command("verify") == 0


def test_killed_at_any_step_it_is_gone_on_with(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence = '[retention.evidence]\nactions = "grant"\nkeep = "100d"\n'
    monkeypatch.setenv("KEYTRAIL_CONFIG", str(pipeline.data_dir / "other.toml"))
    (pipeline.data_dir / "other.toml").write_text(evidence)
    wait_until(lambda: signed_all(pipeline), "all rows are signed")
    cutting = Cutting(pipeline.clickhouse, pipeline.settings.database, system_clock)
    monkeypatch.setattr("keytrail.cli.retention.system_clock", lambda: after_old(pipeline, 100))

    def prepared() -> Prepared:
        due_then = Cutting(pipeline.clickhouse, pipeline.settings.database, lambda: after_old(pipeline, 100))
        [due] = due_then.due(read_classes(sections_below("retention")))
        assert due.due == GRANTS
        return cutting.prepare(due, UuidV7()())

    def is_all_right() -> None:
        assert pipeline.command("status", "--check") == 0
        assert pipeline.command("verify") == 0

    # Killed before the cut was told: nothing is removed, and nothing is twice.
    untold = prepared().cut_id
    is_all_right()
    # Who runs it beside must not take it away: it may be told in a moment.
    cutting.sweep()
    assert written_down(pipeline, untold) == GRANTS
    Cutting(pipeline.clickhouse, pipeline.settings.database, lambda: Micros(system_clock() + 2 * DAY)).sweep()
    assert written_down(pipeline, untold) == 0

    # Killed before the rows were removed; and some of them came under a hold meanwhile.
    cut = prepared()
    author = Author("anna", None, "test", None)
    Record(pipeline.settings, author, CUT).tell(CUT, UuidV7()(), cut.attributes)
    cutting.await_told(cut.cut_id, 60)
    is_all_right()
    # Told of other rows than were written down: none is removed.
    one_more = f"SELECT toUUID('{cut.cut_id}'), -1, 'x'"
    pipeline.clickhouse.run(f"INSERT INTO cut_rows (cut_id, kafka_offset, leaf) {one_more}")
    assert cutting.finish() == [cut.cut_id]
    assert counted(pipeline, OLD_GRANTS) == GRANTS
    pipeline.clickhouse.run("ALTER TABLE cut_rows DELETE WHERE kafka_offset = -1 SETTINGS mutations_sync = 2")
    assert pipeline.command("hold", "add", "--subject", "bob-1", *WHY) == 0
    assert pipeline.command("retention", "apply", *WHY) == 0
    assert counted(pipeline, OLD_GRANTS) == GRANTS // 8
    assert counted(pipeline, f"{OLD_GRANTS} AND subject = 'bob-1'") == GRANTS // 8
    is_all_right()
    [held] = [row for row in show(pipeline, capsys) if "held" in row]
    assert (held["due"], held["held"]) == (0, GRANTS // 8)


def written_down(pipeline: Pipeline, cut_id: str) -> int:
    [row] = pipeline.clickhouse.rows(
        "SELECT count() AS n FROM cut_rows WHERE cut_id = {id:UUID}", params={"id": cut_id}
    )
    return int(str(row["n"]))


@pytest.mark.parametrize(
    ("flags", "says"),
    [(("release", "nobody"), "No hold nobody is in force"), (("add",), "Nothing says what is held")],
)
def test_holds_that_are_none_are_told(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], says: str
) -> None:
    assert pipeline.command("hold", *flags, *WHY) == 2
    assert says in capsys.readouterr().err


def test_in_privacy_mode_a_person_is_held_by_the_pseudonym(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYTRAIL_PRIVACY_MODE", "on")
    assert pipeline.command("person", "secret") == 0
    capsys.readouterr()
    assert pipeline.command("hold", "add", "--subject", "dora", *WHY) == 0
    hold_id = capsys.readouterr().out.strip()
    assert pipeline.command("hold", "list", "--json") == 0
    holds = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    [subject] = next(hold["subjects"] for hold in holds if hold["hold"] == hold_id)
    assert is_pseudonym(subject)
    assert pipeline.command("hold", "release", hold_id, *WHY) == 0


def test_a_row_removed_by_hand_is_still_found(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    wait_until(lambda: signed_all(pipeline), "all rows are signed")
    [row] = pipeline.clickhouse.rows(
        "SELECT event_id FROM events WHERE service = 'app-1' AND action = 'use' "
        "AND reason = 'young' ORDER BY kafka_block LIMIT 1"
    )
    gone = f"event_id = '{row['event_id']}'"
    # Its hash is kept as if by a cut, and nobody told of one.
    pipeline.clickhouse.run(
        f"INSERT INTO cut_rows (cut_id, {PLACE}) SELECT generateUUIDv4(), {PLACE} FROM events WHERE {gone}"
    )
    pipeline.clickhouse.run(f"ALTER TABLE events DELETE WHERE {gone} SETTINGS mutations_sync = 2")
    capsys.readouterr()
    assert pipeline.command("verify") == 1
    assert "removed" in capsys.readouterr().out


def test_a_cut_that_nothing_signed_excuses_no_removed_row(pipeline: Pipeline) -> None:
    """The forger writes into the tables what `retention apply` would: a hash, an event with its digest."""
    wait_until(lambda: signed_all(pipeline), "all rows are signed")
    clickhouse, cut_id = pipeline.clickhouse, str(uuid.uuid4())
    [row] = clickhouse.rows(
        "SELECT event_id, kafka_partition, kafka_offset FROM events WHERE service = 'app-1' "
        "AND action = 'use' AND reason = 'young' ORDER BY kafka_block LIMIT 1"
    )
    gone = f"event_id = '{row['event_id']}'"
    partition, offset = whole(row, "kafka_partition"), whole(row, "kafka_offset")
    clickhouse.run(
        f"INSERT INTO cut_rows (cut_id, {PLACE}, leaf) {WITH} "
        f"SELECT '{cut_id}', {PLACE}, {LEAF_HASH} FROM events WHERE {gone}"
    )
    told = {"cut_id": cut_id, "rows": "1", "class": "uses", "digest": digest_of(clickhouse, cut_id)}
    attributes = ", ".join(f"'keytrail.{name}', '{value}'" for name, value in told.items())
    clickhouse.run(
        f"INSERT INTO events SELECT * REPLACE (generateUUIDv4() AS event_id, '{SERVICE}' AS service, "
        f"'{CUT}' AS action, map({attributes}) AS attributes, kafka_offset + 100000 AS kafka_offset) "
        f"FROM (SELECT * FROM events WHERE {gone})"
    )
    clickhouse.run(f"ALTER TABLE events DELETE WHERE {gone} SETTINGS mutations_sync = 2")
    assert cut_id in true_cuts(clickhouse)
    trust = KeyringFile(pipeline.settings.checkpoint_keys).current().trust
    with Audit(pipeline.settings, trust, clickhouse=True, kafka=False) as asked:
        verdicts = list(asked.rows(asked.evidence([]), None))
    assert any(
        verdict.log.partition == partition
        and each.kind is Kind.REMOVED
        and each.first <= offset <= each.last  # the row that was removed by hand may be its neighbour
        for verdict in verdicts
        for each in verdict.differences
    )
    # Nothing is left to be done of it, and nothing waits for it.
    assert pipeline.command("retention", "apply", *WHY) == 0


def show(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    capsys.readouterr()
    assert pipeline.command("retention", "show", "--json") == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]
