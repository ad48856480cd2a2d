"""Claims in a real ClickHouse: after a claim, no insert of an earlier one runs or can begin."""

import threading
import time
import uuid

import pytest
from sink_support import DEADLINE_S, Feed, Tables, event, wait_until

from keytrail.schemas import avro
from keytrail.schemas.errors import KeytrailError
from keytrail.schemas.settings import Settings
from keytrail.sinks.clickhouse.claims import Claim, Claims
from keytrail.sinks.clickhouse.container import writer
from keytrail.sinks.clickhouse.delivery import Rows
from keytrail.sinks.clickhouse.errors import FencedError, StoppedError
from keytrail.sinks.clickhouse.http import ClickHouse
from keytrail.sinks.clickhouse.inserts import Block, Inserts
from keytrail.sinks.clickhouse.patience import Patience
from keytrail.sinks.clickhouse.table_columns import TableColumns


@pytest.fixture
def clickhouse(settings: Settings) -> ClickHouse:
    return ClickHouse(settings.clickhouse, database=settings.database)


@pytest.fixture
def incarnation() -> str:
    return str(uuid.uuid4())


def new_claims(clickhouse: ClickHouse) -> Claims:
    return Claims(clickhouse, uuid.uuid4, time.sleep)


def insert(settings: Settings, clickhouse: ClickHouse, claim: Claim, first: int, service: str) -> None:
    text = avro.schema_text("enriched")
    datums = [Feed(settings).datum(event(service), text) for _ in range(3)]
    rows = Rows(writer(text), range(first, first + 3), datums)
    columns = TableColumns(clickhouse, settings.database, time.monotonic)
    inserts = Inserts(clickhouse, new_claims(clickhouse), columns, Patience())
    inserts.deliver(Block("events", claim, first, [rows]))


def test_the_latest_claim_inserts_and_earlier_ones_do_not(
    settings: Settings, clickhouse: ClickHouse, incarnation: str
) -> None:
    old, new = new_claims(clickhouse), new_claims(clickhouse)
    earlier = old.claim(incarnation, [0, 1])
    insert(settings, clickhouse, earlier[0], 0, "claims")
    later = new.claim(incarnation, [0])
    with pytest.raises(FencedError):
        insert(settings, clickhouse, earlier[0], 3, "claims")
    insert(settings, clickhouse, later[0], 3, "claims")
    insert(settings, clickhouse, earlier[1], 0, "claims")  # of this one no higher claim was made
    assert Tables(settings).counts("claims") == (9, 9)


def test_a_claim_stops_what_runs_under_an_earlier_one(clickhouse: ClickHouse, incarnation: str) -> None:
    claims = new_claims(clickhouse)
    tag = claims.claim(incarnation, [0])[0].tag
    slow = (
        "INSERT INTO sink_claims (kafka_incarnation, kafka_partition, epoch, owner) "
        f"SETTINGS log_comment = '{tag}', max_block_size = 1, function_sleep_max_microseconds_per_block = 0 "
        f"SELECT toUUID('{incarnation}'), 9, number + sleepEachRow(0.1), generateUUIDv4() FROM numbers(5000)"
    )
    ended: list[str] = []

    def run() -> None:
        try:
            clickhouse.run(slow, timeout_s=DEADLINE_S)
            ended.append("by itself")
        except KeytrailError as error:
            ended.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    running = "SELECT 1 FROM system.processes WHERE Settings['log_comment'] = {tag:String}"
    wait_until(lambda: clickhouse.rows(running, params={"tag": tag}), "the slow insert runs")
    claims.claim(incarnation, [0])
    assert not clickhouse.rows(running, params={"tag": tag})
    thread.join(DEADLINE_S)
    assert ended
    assert ended != ["by itself"]


def test_what_is_stored_is_read_back(settings: Settings, clickhouse: ClickHouse, incarnation: str) -> None:
    claims = new_claims(clickhouse)
    claim = claims.claim(incarnation, [2, 3])[2]
    assert claims.newest_blocks("events", incarnation, [2, 3]) == {}
    insert(settings, clickhouse, claim, 100, "claims-stored")
    insert(settings, clickhouse, claim, 200, "claims-stored")
    assert claims.newest_blocks("events", incarnation, [2, 3]) == {2: 200}
    assert claims.offsets("events", claim, 102) == {102, 200, 201, 202}


def test_a_stop_ends_the_wait_for_clickhouse() -> None:
    patience = Patience()
    threading.Timer(0.2, patience.stop).start()
    with pytest.raises(StoppedError):
        patience.wait(DEADLINE_S)
