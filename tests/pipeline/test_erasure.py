"""A person in privacy mode, from the first event until no byte is left: on the real engines."""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from running import Pipeline
from scratch_stack import running_stack
from waiting import wait_until

from keytrail.producers import AuditTrail
from keytrail.producers.subject_keys import every_record, records_of
from keytrail.schemas.masters import read_secrets
from keytrail.schemas.privacy import PrivacySecrets, PrivacySettings
from keytrail.schemas.settings import HttpSettings, Settings
from keytrail.schemas.topics import SUBJECT_KEYS

# Address, browser, reason, state before, attribute: of a person in plain sight, and of one in privacy mode.
_PLAIN = ("198.51.100.77", "Lynx-Of-Nowhere/7", "a most telling cause", "Halfmoon Lane 9", "shoe size 44")
_VEILED = ("203.0.113.9", "Heron-Of-Somewhere/3", "what nobody may know", "Newmoon Alley 4", "hat size 58")


def _record(settings: Settings, person: str, values: tuple[str, ...], spool: Path | None = None) -> None:
    address, browser, cause, before, size = values
    with AuditTrail("payroll", "production", settings=settings, spool=spool) as trail:
        trail.grant("bob-the-other", "viewer", key="k-1", actor=person, approved_by=person, source_ip=address)
        trail.grant(
            person,
            "admin",
            key="k-1",
            actor=person,
            reason=cause,
            user_agent=browser,
            before={"street": before},
            attributes={"size": size, "team": "pay"},
        )


def _trace(settings: Settings, needles: Iterable[str]) -> dict[str, set[str]]:
    """Where each text stands: in a file as it is, in an unpacked record of a topic, in a row of a table."""
    wanted = [(needle, needle.encode()) for needle in needles]
    found: dict[str, set[str]] = {needle: set() for needle in needles}

    def look(place: str, data: bytes) -> None:
        for needle, text in wanted:
            if text in data:
                found[needle].add(place)

    for path in settings.data_dir.rglob("*"):
        if path.is_file():
            look("file", path.read_bytes())
    for data in _every_byte_of_kafka(settings):
        look("topic", data)
    clickhouse = Pipeline(settings).clickhouse
    tables = "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    for table in clickhouse.rows(tables):
        clickhouse.run(f"OPTIMIZE TABLE {table['name']} FINAL")
        every = clickhouse.stream(f"SELECT * FROM {table['name']}", default_format="RowBinary")
        look("table", b"".join(every.chunks))
    return found


def _every_byte_of_kafka(settings: Settings) -> Iterator[bytes]:
    consumer = Consumer(
        settings.kafka.reader(
            group_id="traces",
            enable_auto_commit=False,
            enable_partition_eof=True,
            isolation_level="read_uncommitted",
        )
    )
    try:
        topics = consumer.list_topics(timeout=30).topics.values()
        places = {(topic.topic, number) for topic in topics for number in topic.partitions}
        consumer.assign([TopicPartition(*place, 0) for place in places])
        while places:
            message = consumer.poll(30)
            assert message is not None, f"nothing more came, {len(places)} partitions are open"
            if message.error() is not None:
                assert message.error().code() == KafkaError._PARTITION_EOF
                places.discard((message.topic(), message.partition()))
                continue
            yield b"\0".join(
                part if isinstance(part, bytes) else b""
                for part in (message.key(), message.value(), *(v for _, v in message.headers() or ()))
            )
    finally:
        consumer.close()


def _hurry(settings: Settings) -> None:
    """Kafka ends the topic's segments after a second instead of a minute."""
    resource = ConfigResource(ResourceType.TOPIC, SUBJECT_KEYS.name)
    resource.add_incremental_config(
        ConfigEntry("segment.ms", "1000", incremental_operation=AlterConfigOpType.SET)
    )
    admin = AdminClient(settings.kafka.client())
    for done in admin.incremental_alter_configs([resource]).values():
        done.result(30)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    data_dir = tmp_path_factory.mktemp("erasure") / "data"
    with running_stack(data_dir, workers=1, sinks=1, notary=True) as settings:
        yield Pipeline(settings)


def test_an_erased_person_is_nowhere(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pipeline.command("person", "secret") == 0
    private = replace(pipeline.settings, privacy=PrivacySettings(on=True, services=("payroll", "*-bot")))
    secrets = PrivacySecrets(read_secrets(private.privacy_secrets))

    # The search finds a person whose events were sent as they are.
    _record(pipeline.settings, "paula-plain", _PLAIN)
    pipeline.wait_for_rows(2)
    for needle, places in _trace(pipeline.settings, ("paula-plain", *_PLAIN)).items():
        assert {"topic", "table"} <= places, needle

    hidden = ("vera-veiled", *_VEILED)
    spool = pipeline.data_dir / "spool"
    nobody = "127.0.0.1:9"
    away = replace(
        private, kafka=replace(private.kafka, bootstrap=nobody), registry=HttpSettings(f"http://{nobody}")
    )
    # With Kafka away events and keys wait in the spool, for the service's next run.
    _record(away, "vera-veiled", _VEILED, spool)
    assert list(spool.glob("*.subject-keys"))
    with AuditTrail("payroll", settings=private, spool=spool) as trail:
        wait_until(lambda: trail.stats().left_over_delivered == 2)
        wait_until(lambda: records_of(private.kafka, secrets.pseudonym("vera-veiled")))
    assert not list(spool.glob("*.subject-keys"))
    monkeypatch.setenv("KEYTRAIL_PRIVACY_MODE", "on")
    issue = ("keys", "issue", "--owner", "vera-veiled", "--kind", "human", "--team", "pay")
    assert pipeline.command(*issue, "--reason", _VEILED[2]) == 0
    emit = ("emit", "revoke", "--actor", "vera-veiled", "--subject", "vera-veiled", "--role", "viewer")
    assert pipeline.command(*emit, "--reason", _VEILED[2]) == 0
    pseudonym = secrets.pseudonym("vera-veiled")
    count = 2 + 2 + 2 + 1  # and the first admin's key
    pipeline.wait_for_rows(count)
    wait_until(lambda: ("self_grant", pseudonym) in {(f.rule, f.entity) for f in pipeline.findings()})
    [key] = pipeline.clickhouse.rows(f"SELECT owner FROM keys_current WHERE owner = '{pseudonym}'")
    assert key == {"owner": pseudonym}

    # Nothing of hers is kept anywhere as it is, and yet whoever has the secrets can read all of it.
    assert {needle: places for needle, places in _trace(private, hidden).items() if places} == {}
    capsys.readouterr()
    assert pipeline.command("person", "show", "vera-veiled") == 0
    shown = capsys.readouterr()
    assert "known as vera-veiled" in shown.err
    assert _VEILED[2] in shown.out
    assert pipeline.command("person", "export", "vera-veiled") == 0
    exported = capsys.readouterr().out
    assert [value for value in _VEILED if value not in exported] == []
    assert {json.loads(line)["table"] for line in exported.splitlines()} == {
        *("subject_keys", "events", "keys", "anomalies")
    }

    # Her keys, as they stand in the files, are what the same search has to find until she is erased.
    keys = [value.decode() for value in records_of(private.kafka, pseudonym).values()]
    wrapped = [json.loads(value)["wrapped"] for value in keys]
    assert all({"file", "topic"} <= places for places in _trace(private, wrapped).values())
    assert len(keys) >= 2  # the trail's, and each command's
    erase = ("erase", "vera-veiled", "--reason", "she asked for it", "--by", "dora-dpo")
    where = ("--data-dir", str(pipeline.data_dir))
    killed = subprocess.Popen([sys.executable, "-m", "keytrail.cli.main", *erase, *where])
    wait_until(lambda: any(value is None for _, value in every_record(private.kafka, pseudonym)))
    killed.kill()
    killed.wait()
    _hurry(private)
    assert pipeline.command(*erase) == 0
    assert "No keys were left" in capsys.readouterr().err
    pipeline.wait_for_rows(count + 1)
    wait_until(lambda: not any(_trace(private, (*hidden, *wrapped)).values()))

    # The log says so once, under the pseudonym; all events are still there, and count.
    erased = "SELECT subject, actor_id FROM events WHERE action = 'erase_person'"
    assert pipeline.clickhouse.rows(erased) == [
        {"subject": pseudonym, "actor_id": secrets.pseudonym("dora-dpo")}
    ]
    assert pipeline.command("status", "--check") == 0
    # What was signed before she was erased, and what was signed since, is as it was signed.
    signed = "SELECT count() AS many FROM checkpoints"
    wait_until(lambda: int(str(pipeline.clickhouse.rows(signed)[0]["many"])) > 0)
    assert pipeline.command("verify") == 0
    assert pipeline.rows() == (count + 1, count + 1)
    capsys.readouterr()
    assert pipeline.command("person", "export", "vera-veiled") == 0
    assert [value for value in _VEILED if value in capsys.readouterr().out] == []
    # Others are as they were: the one who erased, and the one who was never concealed.
    assert pipeline.command("person", "show", "dora-dpo") == 0
    assert "she asked for it" in capsys.readouterr().out
    assert all({"topic", "table"} <= places for places in _trace(private, _PLAIN).values())

    # Who comes back has a new key, which opens what is new and nothing else.
    assert pipeline.command(*emit, "--reason", "back again") == 0
    pipeline.wait_for_rows(count + 2)
    assert pipeline.command("person", "show", "vera-veiled") == 0
    shown = capsys.readouterr()
    assert "1 keys; known as vera-veiled" in shown.err
    assert "back again" in shown.out
    assert _VEILED[2] not in shown.out
