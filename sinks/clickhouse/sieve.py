"""Finds what is wrong with rows without ClickHouse: many bad ones would take it many inserts to find."""

import io
import re
from collections.abc import Mapping

import fastavro

from keytrail.schemas import avro
from keytrail.sinks.clickhouse.delivery import Rejected, Rows

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def find_bad(rows: Rows, types: Mapping[str, str]) -> list[Rejected]:
    """The rows that no table could take: torn ones, and those without a UUID where the column is one.

    `types` are the columns' types.  What it passes, ClickHouse may still refuse.
    """
    schema = avro.parse(rows.writer.schema_text)
    uuids = [name for name in rows.writer.columns if types.get(name) == "UUID"]
    found = []
    for offset, datum in zip(rows.offsets, rows.datums, strict=True):
        source = io.BytesIO(datum)
        try:
            record = fastavro.schemaless_reader(source, schema, None, handle_unicode_errors="replace")
        except Exception as error:  # noqa: BLE001 - fastavro raises whatever it stumbles over
            found.append(
                Rejected(offset, "torn_datum", f"The datum cannot be read ({type(error).__name__}).")
            )
            continue
        if left := len(datum) - source.tell():
            found.append(Rejected(offset, "torn_datum", f"{left} bytes are left over behind the datum."))
        elif isinstance(record, dict):
            wrong = [name for name in uuids if not _UUID.fullmatch(str(record.get(name)))]
            if wrong:
                found.append(Rejected(offset, "invalid_event", f"{', '.join(wrong)} is no UUID."))
    return found
