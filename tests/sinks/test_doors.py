"""`keytrail sql`, `anomalies`, `deadletter` and the lag, as they are typed."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from sink_support import DEADLINE_S, NOON, Feed, Tables, anomaly, running_sink, wait_until

from keytrail.cli.deadletter import dump
from keytrail.cli.main import main
from keytrail.schemas import topics
from keytrail.schemas.records import DeadLetter, Header, Micros
from keytrail.schemas.settings import Settings
from keytrail.sinks.lag import read_lag

Out = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def addresses(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    found = {
        "KEYTRAIL_KAFKA_BOOTSTRAP": settings.kafka.bootstrap,
        "KEYTRAIL_REGISTRY_URL": settings.registry.url,
        "KEYTRAIL_CLICKHOUSE_URL": settings.clickhouse.url,
        "KEYTRAIL_CLICKHOUSE_DATABASE": settings.database,
    }
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


@pytest.fixture(scope="module")
def findings(settings: Settings) -> None:
    """Three findings and a dead letter, in their tables."""
    feed, tables = Feed(settings), Tables(settings)
    feed.records(
        topics.ANOMALIES,
        "anomaly",
        [
            anomaly(anomaly_id="doors-1", entity="doors-eve", status="open", revision=1),
            anomaly(anomaly_id="doors-1", entity="doors-eve", status="resolved", revision=2),
            anomaly(anomaly_id="doors-2", entity="doors-eve", severity="critical", rule="unknown_key"),
            anomaly(anomaly_id="doors-3", entity="doors-eve", severity="low", summary="\x1b[2J evil"),
        ],
    )
    letter = DeadLetter(
        *("keytrail.doors", 3, 1234, Micros(NOON), "torn_datum", "9 bytes short", "Send it again.", 5),
        key=None,
        value=b"\x00abc\x1b" + bytes(range(16)),
        headers=[Header("source", b"x")],
        failed_at=Micros(NOON),
    )
    feed.records(topics.DEAD_LETTERS, "deadletter", [letter, letter])
    with running_sink(settings):
        wait_until(
            lambda: len(tables.clickhouse.rows("SELECT 1 FROM anomalies WHERE entity = 'doors-eve'")) == 4,
            "the findings",
        )
        wait_until(
            lambda: len(tables.clickhouse.rows("SELECT 1 FROM dead_letters WHERE source_offset = 1234")) == 2,
            "the dead letters",
        )


def test_sql_prints_a_table(capsys: Out) -> None:
    query = "SELECT 1 AS number, 'a\nb' AS text, NULL AS nothing, [1, 2] AS list, map('k', 'v') AS pairs"
    assert main(["sql", query]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "NUMBER  TEXT    NOTHING  LIST  PAIRS",
        '1       a\\x0ab           1, 2  {"k": "v"}',
    ]


def test_sql_prints_json_lines(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    query = "SELECT number, toUInt64(18446744073709551615) AS big FROM numbers(2) ORDER BY number"
    assert main(["sql", "--json", query]) == 0
    lines = capsysbinary.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines] == [{"number": n, "big": 2**64 - 1} for n in (0, 1)]


@pytest.mark.parametrize("flags", [["--format", "CSV"], []])
def test_sql_passes_other_formats_through(
    flags: list[str], capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["sql", "SELECT 1, 'x'" + ("" if flags else " FORMAT CSV"), *flags]) == 0
    assert capsysbinary.readouterr().out == b'1,"x"\n'


def test_sql_takes_parameters_and_reads_stdin(capsys: Out, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("SELECT {n:Int32} + 1 AS n,\n{s:String} AS s"))
    assert main(["sql", "-", "--param", "n=4", "--param", "s=it's a\tb=c\\"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "5  it's a\\x09b=c\\"


def test_sql_answers_a_statement_without_rows(capsys: Out) -> None:
    assert main(["sql", "CREATE TABLE IF NOT EXISTS doors (a Int8) ENGINE = Memory"]) == 0
    assert main(["sql", "DROP TABLE doors"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("query", "code", "name"),
    [("SELECT * FROM nowhere", 60, "UNKNOWN_TABLE"), ("SELEC 1", 62, "SYNTAX_ERROR")],
)
def test_sql_tells_an_error_in_one_line(query: str, code: int, name: str, capsys: Out) -> None:
    assert main(["sql", query]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"keytrail sql: Code: {code}. ")
    assert line.endswith(f"({name})")
    assert len(line) < 300


@pytest.mark.parametrize("flags", [["--param", "n"], ["--json", "--format", "CSV"]])
def test_sql_used_wrongly(flags: list[str], capsys: Out) -> None:
    assert main(["sql", "SELECT 1", *flags]) == 2


@pytest.mark.usefixtures("findings")
def test_anomalies_are_the_latest_states_worst_first(capsys: Out) -> None:
    assert main(["anomalies", "--entity", "doors-eve"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert " ".join(lines[0].split()) == "SEVERITY RULE ENTITY CAUSE COUNT FIRST SEEN LAST SEEN STATUS"
    assert [line.split()[0] for line in lines[1::2]] == ["critical", "high", "low"]
    assert " ".join(lines[3].split()[2:]) == (
        "subject doors-eve AdministratorAccess 2 2025-06-15 15:06:40 2025-06-15 15:07:41 resolved"
    )
    assert lines[4] == "    doors-1  AdministratorAccess was granted to eve by ada without approval."
    assert lines[6] == "    doors-3  \\x1b[2J evil"


@pytest.mark.usefixtures("findings")
@pytest.mark.parametrize(
    ("flags", "ids"),
    [
        (["--severity", "high"], ["doors-2", "doors-1"]),
        (["--rule", "unknown_key"], ["doors-2"]),
        (["--status", "open"], ["doors-2", "doors-3"]),
        (["--limit", "1"], ["doors-2"]),
        (["--entity", "nobody"], []),
    ],
)
def test_anomalies_by_flags(flags: list[str], ids: list[str], capsys: Out) -> None:
    assert main(["anomalies", "--json", "--entity", "doors-eve", *flags]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["anomaly_id"] for row in rows] == ids
    for row in rows:
        assert row["first_seen"] == "2025-06-15T15:06:40Z"
        assert row["evidence"] == ["e-1", "e-2"]


@pytest.mark.usefixtures("findings")
def test_anomalies_in_the_forms_of_others(capsys: Out) -> None:
    assert main(["anomalies", "--ocsf", "--cloudevents", "--entity", "doors-eve"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["data"]["finding_info"]["uid"] for event in events] == ["doors-2", "doors-1", "doors-3"]
    assert {event["data"]["class_uid"] for event in events} == {2004}
    assert events[0]["id"].startswith("doors-2/")


@pytest.fixture
def following(addresses: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [*(sys.executable, "-m", "keytrail.cli.main"), *("anomalies", "--follow", "--json")],
        env={**os.environ, **addresses},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    process.communicate(timeout=DEADLINE_S)


@pytest.mark.usefixtures("findings")
def test_anomalies_follow_shows_what_comes(settings: Settings, following: "subprocess.Popen[str]") -> None:
    seen: list[str] = []

    def read() -> None:
        assert following.stdout
        seen.extend(json.loads(line)["anomaly_id"] for line in following.stdout)

    threading.Thread(target=read, daemon=True).start()
    feed, sent = Feed(settings), 0

    def one_more_until_it_is_seen() -> list[str]:
        nonlocal sent
        sent += 1
        feed.records(topics.ANOMALIES, "anomaly", [anomaly(anomaly_id=f"doors-new-{sent}")])
        return seen

    wait_until(one_more_until_it_is_seen, "a finding that came after the command")
    feed.records(topics.ANOMALIES, "anomaly", [anomaly(anomaly_id="doors-last")])
    wait_until(lambda: "doors-last" in seen, "the last finding")
    assert all(name.startswith("doors-new-") for name in seen[:-1]), "nothing from before the command"
    following.send_signal(signal.SIGINT)
    following.wait(DEADLINE_S)
    assert following.returncode == 130


@pytest.mark.usefixtures("findings")
def test_anomalies_follow_from_the_beginning(capsys: Out) -> None:
    flags = ["--follow", "--from-beginning", "--entity", "doors-eve", "--limit", "4"]
    assert main(["anomalies", *flags]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 8
    assert sorted(line.split()[0] for line in lines[::2]) == ["critical", "high", "high", "low"]


@pytest.mark.usefixtures("findings")
def test_dead_letters_are_listed_once_each(capsys: Out) -> None:
    assert main(["deadletter", "list", "--reason", "torn_datum", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (row,) = [row for row in rows if row["place"].startswith("keytrail.doors/")]
    assert row["place"] == "keytrail.doors/3/1234"
    assert (row["reason"], row["bytes"], row["detail"]) == ("torn_datum", 21, "9 bytes short")


@pytest.mark.usefixtures("findings")
def test_a_dead_letter_is_shown_without_harm(capsys: Out) -> None:
    assert main(["deadletter", "show", "keytrail.doors/3/1234"]) == 0
    out = capsys.readouterr().out
    assert "Send it again." in out
    assert "key: none" in out
    assert "header source, 1 bytes" in out
    assert "00000000  00 61 62 63 1b 00 01 02 03 04 05 06 07 08 09 0a  |.abc............|" in out
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("place", "code"), [("keytrail.doors/3/1", 1), ("keytrail.doors", 2), ("a/b/c", 2), ("/1/2", 2)]
)
def test_a_place_without_a_dead_letter(place: str, code: int, capsys: Out) -> None:
    assert main(["deadletter", "show", place]) == code
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_dump_ends_with_a_short_line() -> None:
    assert list(dump(bytes(17)))[1] == f"{16:08x}  {'00':47}  |.|"
    assert list(dump(b"")) == []


def test_lag_counts_what_is_not_yet_stored(settings: Settings) -> None:
    def lag() -> dict[str, int]:
        found: dict[str, int] = {}
        for item in read_lag(settings.kafka):
            found[item.topic] = found.get(item.topic, 0) + item.lag
        return found

    with running_sink(settings):
        wait_until(lambda: lag()[topics.ANOMALIES.name] == 0, "nothing is left")
    Feed(settings).records(topics.ANOMALIES, "anomaly", [anomaly(anomaly_id=f"lag-{n}") for n in range(3)])
    assert lag()[topics.ANOMALIES.name] == 3
    with running_sink(settings):
        wait_until(lambda: lag()[topics.ANOMALIES.name] == 0, "nothing is left again")
