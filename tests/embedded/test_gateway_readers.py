"""Readers of the embedded ClickHouse: each role sees what it is for, nothing leads round it, all is told."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from gateway_process import GatewayProcess, Reply, running
from waiting import wait_until

from keytrail.schemas.query_log import log_files
from keytrail.schemas.readers import ReaderFile

SECRET = "only the stack knows"
DENIED, READ_ONLY, UNKNOWN = "497", "164", "516"
TABLES = """
CREATE DATABASE keytrail;
CREATE TABLE keytrail.events (event_id String, key_team String, at UInt32) ENGINE = MergeTree ORDER BY at;
CREATE TABLE keytrail.keys (key_id String, team String) ENGINE = MergeTree ORDER BY key_id;
CREATE TABLE keytrail.anomalies (entity_type String, entity String) ENGINE = MergeTree ORDER BY entity;
CREATE TABLE keytrail.dead_letters (value String) ENGINE = MergeTree ORDER BY value;
CREATE VIEW keytrail.by_team AS SELECT key_team, count() AS events FROM keytrail.events GROUP BY key_team;
CREATE VIEW keytrail.since AS SELECT * FROM keytrail.events WHERE at >= {least:UInt32};
CREATE VIEW keytrail.broken AS SELECT value FROM keytrail.dead_letters;
INSERT INTO keytrail.events VALUES ('e1', 'pay', 1), ('e2', 'pay', 2), ('e3', 'hr', 30);
INSERT INTO keytrail.keys VALUES ('k1', 'pay'), ('k2', 'hr');
INSERT INTO keytrail.anomalies VALUES ('key', 'k1'), ('key', 'k2'), ('subject', 'bob');
INSERT INTO keytrail.dead_letters VALUES ('raw')
"""


@dataclass(frozen=True)
class Readers:
    gateway: GatewayProcess
    file: ReaderFile
    tokens: Mapping[str, str]

    def ask(self, reader: str, query: str, **arguments: str) -> Reply:
        headers = {"X-ClickHouse-User": reader, "X-ClickHouse-Key": self.tokens[reader]}
        return self.gateway.send("", query.encode(), headers=headers, **arguments)

    def rows(self, reader: str, query: str) -> list[str]:
        reply = self.ask(reader, query)
        assert reply.status == 200, reply.text
        return reply.text.splitlines()

    def refused(self, reader: str, query: str, **arguments: str) -> str:
        """The code of the refusal."""
        reply = self.ask(reader, query, **arguments)
        assert reply.status != 200, reply.text
        return reply.headers["x-clickhouse-exception-code"]

    def log(self) -> list[dict[str, dict[str, object]]]:
        files = log_files(self.gateway.data_dir / "queries")
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Readers]:
    folder = tmp_path_factory.mktemp("data")
    file = ReaderFile(folder / "readers.json")
    tokens = {role: file.add(role, role, now=1) for role in ("analyst", "security", "auditor")}
    tokens["pay"] = file.add("pay", "owner", now=1, team="pay", key_id="k1")
    tokens["odd"] = file.add("odd", "owner", now=1, team="it's \\ odd")
    secret = {"KEYTRAIL_GATEWAY_PASSWORD": SECRET}
    with running(folder, "--user", "keytrail", env=secret) as gateway:
        for statement in TABLES.strip().split(";\n"):
            gateway.sql(statement, user="keytrail", password=SECRET)
        yield Readers(gateway, file, tokens)


def test_each_role_sees_what_it_is_for(readers: Readers) -> None:
    everything = "SELECT event_id FROM events ORDER BY event_id"
    for reader in ("analyst", "security", "auditor"):
        assert readers.rows(reader, everything) == ["e1", "e2", "e3"]
    assert readers.rows("pay", everything) == ["e1", "e2"]
    assert readers.rows("odd", everything) == []
    assert readers.rows("pay", "SELECT * FROM keys") == ["k1\tpay"]
    assert readers.rows("pay", "SELECT entity FROM anomalies") == ["k1"]
    assert readers.rows("security", "SELECT value FROM dead_letters") == ["raw"]
    assert readers.rows("auditor", "SELECT value FROM broken") == ["raw"]
    assert readers.refused("analyst", "SELECT value FROM dead_letters") == DENIED
    assert readers.refused("analyst", "SELECT value FROM keytrail.dead_letters AS events") == DENIED


@pytest.mark.parametrize(
    "query",
    [
        "SELECT sum(events) FROM by_team",
        "SELECT count() FROM since(least = 0)",
        "SELECT count() FROM events",
        "SELECT count() FROM events AS anything",
        "SELECT count(DISTINCT at) FROM (SELECT * FROM events)",
        "SELECT max(at) FROM events",
        "WITH (SELECT count() FROM events) AS many SELECT many",
        "WITH mine AS (SELECT * FROM events) SELECT count() FROM (SELECT * FROM mine)",
        "SELECT length(groupArray(event_id)) FROM events PREWHERE at > 0",
        "SELECT countIf(e.at > 0) FROM numbers(1) AS n CROSS JOIN events AS e",
        "SELECT count() FROM events FORMAT TSV",
    ],
)
def test_a_team_sees_its_own_rows_however_they_are_read(readers: Readers, query: str) -> None:
    assert readers.rows("pay", query) == ["2"]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM broken",
        "SELECT * FROM view(SELECT value FROM keytrail.broken)",
        "WITH dead_letters AS (SELECT 1) SELECT * FROM (SELECT * FROM keytrail.dead_letters)",
        "SELECT * FROM (WITH dead_letters AS (SELECT 1) SELECT 1) AS one, dead_letters",
        "SELECT * FROM {name:Identifier}.{table:Identifier}",
        "SELECT query FROM system.processes AS tables WHERE 0",
    ],
)
def test_what_is_hidden_is_empty_or_refused_by_whatever_way(readers: Readers, query: str) -> None:
    reply = readers.ask("analyst", query, param_name="keytrail", param_table="dead_letters")
    assert "raw" not in reply.text
    assert reply.status != 200 or reply.text == ""


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("INSERT INTO events VALUES ('e4', 'pay', 4)", READ_ONLY),
        ("CREATE TABLE other (x Int32) ENGINE = Memory", READ_ONLY),
        ("DROP TABLE events", READ_ONLY),
        ("ALTER TABLE events DELETE WHERE 1", READ_ONLY),
        ("SET readonly = 0", READ_ONLY),
        ("USE system", READ_ONLY),
        ("KILL QUERY WHERE 1", READ_ONLY),
        ("SYSTEM FLUSH LOGS", READ_ONLY),
        ("SHOW PROCESSLIST", READ_ONLY),
        ("CHECK TABLE events", READ_ONLY),
        ("SELECT 1 SETTINGS additional_table_filters = {}", READ_ONLY),
        ("SELECT count() FROM (SELECT * FROM events SETTINGS additional_table_filters = {})", READ_ONLY),
        ("SELECT 1 FORMAT TSV SETTINGS max_result_rows = 0", READ_ONLY),
        ("SELECT file('/etc/hostname')", DENIED),
        ("SELECT `FILE`('/etc/hostname')", DENIED),
        ("SELECT * REPLACE (file(event_id) AS event_id) FROM events", DENIED),
        ("SELECT * APPLY(file) FROM events", DENIED),
        ("SELECT arrayMap(name -> file(name), ['/etc/hostname'])", DENIED),
        ("SELECT * FROM file('/etc/passwd', 'LineAsString')", DENIED),
        ("SELECT * FROM url('http://127.0.0.1:9/', 'LineAsString')", DENIED),
        ("SELECT * FROM merge('keytrail', '.*')", DENIED),
        ("SELECT * FROM remote('127.0.0.1', 'keytrail', 'events')", DENIED),
        ("SELECT * FROM mergeTreeIndex('keytrail', 'dead_letters')", DENIED),
        ("SELECT 1 WHERE 1 IN merge('keytrail', 'dead_letters')", DENIED),
        ("SELECT * FROM eval('SELECT 1')", DENIED),
        ("DESCRIBE TABLE file('/etc/passwd', 'LineAsString')", DENIED),
        ("EXPLAIN SELECT * FROM dead_letters", DENIED),
        ("SELECT 'raw' IN keytrail.dead_letters", DENIED),
        ("SELECT query FROM system.processes", DENIED),
        ("SELECT * FROM system.errors", DENIED),
    ],
)
def test_what_leads_round_a_role_is_refused(readers: Readers, query: str, code: str) -> None:
    assert readers.refused("analyst", query) == code


def test_a_request_brings_nothing_along_that_leads_round(readers: Readers) -> None:
    assert readers.refused("pay", "SELECT 1", additional_table_filters="{}") == READ_ONLY
    assert readers.refused("pay", "SELECT 1", readonly="0") == READ_ONLY
    assert readers.refused("pay", "SELECT 1", implicit_table_at_top_level="events") == READ_ONLY
    assert readers.refused("pay", "SELECT 1", output_format_schema="a.proto") == READ_ONLY
    assert readers.refused("pay", "SELECT 1", database="system") == DENIED
    assert readers.ask("pay", "SELECT 1", output_format_json_quote_64bit_integers="1").text == "1\n"


def test_limits(readers: Readers) -> None:
    too_many_rows, too_much_memory = "396", "241"
    many = "SELECT number FROM numbers(2000000)"
    assert readers.refused("auditor", many, wait_end_of_query="1") == too_many_rows
    large = "SELECT length(groupArray(repeat('x', 1000) || toString(number))) FROM numbers(100000000)"
    assert readers.refused("auditor", large) == too_much_memory
    limit = readers.rows("auditor", "SELECT value FROM system.settings WHERE name = 'max_execution_time'")
    assert limit == ["60"]


def test_the_usual_client_works_for_a_reader(readers: Readers) -> None:
    with clickhouse_connect.get_client(
        host="127.0.0.1",
        port=readers.gateway.port,
        username="pay",
        password=readers.tokens["pay"],
        database="keytrail",
    ) as client:
        found = client.query("SELECT event_id FROM events WHERE at > {at:UInt32}", parameters={"at": 1})
        assert found.result_rows == [("e2",)]
        with pytest.raises(DatabaseError, match="dead_letters is not shown"):
            client.query("SELECT * FROM dead_letters")


def test_a_token_opens_by_itself_and_not_when_it_is_unknown(readers: Readers) -> None:
    def bearer(token: str) -> Reply:
        return readers.gateway.send("SELECT 1", headers={"Authorization": f"Bearer {token}"})

    assert bearer(readers.tokens["analyst"]).text == "1\n"
    token = readers.file.add("guest", "auditor", now=1)
    assert bearer(token).text == "1\n"
    readers.file.remove("guest")
    for unknown in (token, "ktr_", token[:-1], "SELECT"):
        assert bearer(unknown).headers["x-clickhouse-exception-code"] == UNKNOWN
    assert readers.gateway.send("SELECT 1").headers["x-clickhouse-exception-code"] == UNKNOWN


def test_an_unknown_token_is_refused_where_everybody_else_is_let_in(tmp_path: Path) -> None:
    with running(tmp_path / "data") as gateway:
        assert gateway.send("SELECT 1").text == "1\n"
        reply = gateway.send("SELECT 1", headers={"X-ClickHouse-User": "a", "X-ClickHouse-Key": "ktr_gone"})
        assert reply.headers["x-clickhouse-exception-code"] == UNKNOWN


def test_every_query_is_written_down_before_and_after(readers: Readers) -> None:
    before = len(readers.log())
    readers.rows("pay", "SELECT event_id FROM events")
    readers.refused("pay", "SELECT * FROM dead_letters")
    readers.refused("pay", "SELECT nothing FROM events")
    readers.ask("pay", "SELECT 'x'", limit="1")

    def news() -> list[dict[str, dict[str, object]]]:
        return readers.log()[before:]

    wait_until(lambda: len(news()) == 8)
    begun = [entry["begun"] for entry in news() if "begun" in entry]
    ended = {entry["ended"]["id"]: entry["ended"] for entry in news() if "ended" in entry}
    assert [entry["query"] for entry in begun][:2] == [
        "SELECT event_id FROM events",
        "SELECT * FROM dead_letters",
    ]
    assert {(entry["reader"], entry["role"], entry["team"], entry["key_id"]) for entry in begun} == {
        ("pay", "owner", "pay", "k1")
    }
    went = [ended[entry["id"]] for entry in begun]
    assert [(entry["outcome"], entry["code"]) for entry in went] == [
        ("success", 0),
        ("denied", int(DENIED)),
        ("failure", 47),
        ("denied", int(READ_ONLY)),
    ]
    assert (went[0]["result_rows"], went[0]["read_rows"]) == (2, 3)


def test_a_query_that_cannot_be_written_down_is_not_run(tmp_path: Path) -> None:
    file = ReaderFile(tmp_path / "data" / "readers.json")
    token = file.add("anna", "auditor", now=1)
    (tmp_path / "data" / "queries").touch()  # in the way of the folder
    with running(tmp_path / "data") as gateway:
        reply = gateway.send("SELECT 1", headers={"Authorization": f"Bearer {token}"})
        assert reply.status == 500
        assert "cannot use its data directory" in reply.text
