"""The log of readers' statements becomes events: each statement one, whenever it is read and read again."""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from keytrail.deploy.embedded.gateway.query_log import Asker, QueryLog
from keytrail.producers.reader_queries import CUT_OFF, QueryLogReader, event_of
from keytrail.schemas.query_log import Begun, Ended, log_files
from keytrail.schemas.readers import Reader

ANNA = Asker(Reader("anna", "owner", "", 1, "pay", "k1"), "127.0.0.1", "curl")
BEGUN = Begun("id", 5, "anna", "owner", "pay", "k1", "127.0.0.1", "curl", "SELECT 1", "d1")


def test_what_an_event_says() -> None:
    event = event_of(BEGUN, Ended("id", 9, "denied", code=497, read_rows=3))
    assert (event.event_id, event.action, event.actor_id, event.key_id) == ("id", "query", "anna", "k1")
    assert (event.outcome, event.error) == ("denied", "ClickHouse's code 497")
    assert (event.occurred_at, event.recorded_at, event.source_ip) == (5, 9, "127.0.0.1")
    assert event.attributes["query"] == "SELECT 1"
    assert event.attributes["reader_team"] == "pay"
    assert event.attributes["read_rows"] == "3"


@given(st.lists(st.sampled_from(["begin", "end", "take", "lose", "restart", "forget"]), max_size=40))
def test_each_statement_is_given_and_once_while_nothing_is_lost(steps: list[str]) -> None:
    """`restart`: of the gateway; `forget`: of the reader; `lose`: of the reader before it was done."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log, reader = QueryLog(folder), QueryLogReader(folder)
        running: list[str] = []
        asked: list[str] = []
        given_ids: list[str] = []
        for step in [*steps, "restart", "take"]:
            if step == "begin":
                running.append(log.begin(ANNA, b"SELECT 1"))
                asked.append(running[-1])
            elif step == "end" and running:
                log.end(Ended(running.pop(len(running) // 2), 7, "success"))
            elif step in {"take", "lose"}:
                given_ids += [event.event_id for event in reader.take()]
                if step == "take":
                    reader.done()
                else:
                    reader = QueryLogReader(folder)
            elif step == "restart":
                log.close()
                log = QueryLog(folder)
                running = []
            elif step == "forget":
                reader = QueryLogReader(folder)
        log.close()
        assert set(given_ids) == set(asked)
        # Given again is only what ended behind one that still runs, to a reader that begins anew.
        if not {"lose", "forget"} & set(steps):
            assert len(given_ids) == len(asked)
        assert len(log_files(folder)) <= 1


def test_a_statement_that_was_cut_off(tmp_path: Path) -> None:
    killed = QueryLog(tmp_path)
    killed.begin(ANNA, b"SELECT sleep(3)")
    reader = QueryLogReader(tmp_path)
    assert list(reader.take()) == []
    reader.done()
    QueryLog(tmp_path).close()
    [event] = reader.take()
    assert (event.outcome, event.error) == ("failure", CUT_OFF)


def test_a_line_that_was_torn(tmp_path: Path) -> None:
    whole = json.dumps({"begun": asdict(BEGUN)}) + "\n"
    ended = json.dumps({"ended": asdict(Ended("id", 9, "success"))}) + "\n"
    (tmp_path / "queries-1.jsonl").write_text(whole + ended + whole[:30])
    [event] = QueryLogReader(tmp_path).take()
    assert event.outcome == "success"


def test_a_long_statement_is_cut_and_its_digest_is_of_all(tmp_path: Path) -> None:
    log = QueryLog(tmp_path)
    long = b"SELECT '" + b"\xff" * 10_000 + b"'"
    log.end(Ended(log.begin(ANNA, long), 9, "success"))
    log.close()
    [event] = QueryLogReader(tmp_path).take()
    assert len(event.attributes["query"]) == 4_096
    assert len(event.attributes["query_sha256"]) == 64
