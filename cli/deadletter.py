"""`keytrail deadletter`: the records that could not be used, and why."""

import argparse
from collections.abc import Iterator

from keytrail.cli import deadletter_replay
from keytrail.cli.options import connection_flags, json_flag, settings_from
from keytrail.cli.output import print_json, print_table, printable, progress
from keytrail.schemas.errors import KeytrailError
from keytrail.sinks.clickhouse.http import ClickHouse, Row

_DUMP_BYTES = 16
# A record that is set aside twice, as after a crash, is one dead letter.
_LIST = """
SELECT concat(source_topic, '/', toString(source_partition), '/', toString(source_offset)) AS place,
       reason, detail, schema_id, length(value) AS bytes, formatDateTime(failed_at, '%F %T') AS failed
FROM dead_letters
WHERE {reason:String} IN ('', reason)
ORDER BY failed_at DESC
LIMIT 1 BY source_topic, source_partition, source_offset
LIMIT {limit:UInt64}
"""
_SHOW = """
SELECT source_topic, source_partition, source_offset, toString(source_timestamp) AS timestamp, reason, detail,
       remedy, schema_id, hex(key) AS key_hex, hex(value) AS value_hex,
       arrayMap(header -> (header.name, hex(header.value)), headers) AS header_hexes,
       toString(failed_at) AS failed
FROM dead_letters
WHERE source_topic = {topic:String}
  AND source_partition = {partition:Int32}
  AND source_offset = {offset:Int64}
ORDER BY failed_at DESC
LIMIT 1
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    listing = verbs.add_parser("list", help="the latest first")
    listing.add_argument("--reason", default="", metavar="NAME", help="of this reason only")
    listing.add_argument("--limit", type=int, default=50, metavar="N", help="no more than N (%(default)s)")
    show = verbs.add_parser("show", help="one record, with its bytes")
    show.add_argument("place", metavar="TOPIC/PARTITION/OFFSET", help="as `list` shows it")
    deadletter_replay.arguments(verbs.add_parser("replay", help="send records back after a fix, each once"))
    for verb in (listing, show):
        json_flag(verb)
        connection_flags(verb)


def run(options: argparse.Namespace) -> int:
    if options.verb == "replay":
        return deadletter_replay.run(options)
    place = deadletter_replay.parse_place(options.place) if options.verb == "show" else None
    settings = settings_from(options)
    clickhouse = ClickHouse(settings.clickhouse, database=settings.database)
    if place is None:
        _list(options, clickhouse)
    else:
        _show(options, clickhouse, *place)
    return 0


def _list(options: argparse.Namespace, clickhouse: ClickHouse) -> None:
    rows = clickhouse.rows(_LIST, params={"reason": options.reason, "limit": max(options.limit, 0)})
    if options.json:
        print_json(rows)
    elif not rows:
        progress("No dead letters.")
    else:
        columns = ("place", "reason", "schema_id", "bytes", "failed", "detail")
        print_table(columns, ([row[column] for column in columns] for row in rows))


def _show(
    options: argparse.Namespace, clickhouse: ClickHouse, topic: str, partition: int, offset: int
) -> None:
    rows = clickhouse.rows(_SHOW, params={"topic": topic, "partition": partition, "offset": offset})
    if not rows:
        raise KeytrailError(
            f"There is no dead letter of {printable(options.place)}.", "`keytrail deadletter list` shows all."
        )
    if options.json:
        print_json(rows)
        return
    for name in ("reason", "detail", "remedy", "schema_id", "timestamp", "failed"):
        print(f"{name.replace('_', ' '):10}{printable(rows[0][name])}")
    for name, content in _parts(rows[0]):
        print(f"\n{name}, {len(content)} bytes" if content is not None else f"\n{name}: none")
        for line in dump(content or b""):
            print(line)


def _parts(row: Row) -> Iterator[tuple[str, bytes | None]]:
    yield "key", _bytes(row["key_hex"])
    headers = row["header_hexes"]
    for name, content in headers if isinstance(headers, list) else ():
        yield f"header {printable(name)}", _bytes(content)
    yield "value", _bytes(row["value_hex"])


def _bytes(digits: object) -> bytes | None:
    return None if digits is None else bytes.fromhex(str(digits))


def dump(content: bytes) -> Iterator[str]:
    """Lines of position, bytes in hex, and what of them is plain ASCII text."""
    for start in range(0, len(content), _DUMP_BYTES):
        part = content[start : start + _DUMP_BYTES]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        yield f"{start:08x}  {part.hex(' '):{_DUMP_BYTES * 3 - 1}}  |{text}|"
