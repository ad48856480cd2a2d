"""`keytrail status --producers`: each producer's sequence numbers against the rows stored, hour by hour."""

import argparse
from dataclasses import asdict

from keytrail.cli.moments import parse_past
from keytrail.cli.options import settings_from
from keytrail.cli.output import print_json, print_table, progress
from keytrail.producers.clock import system_clock
from keytrail.sinks.clickhouse.http import ClickHouse
from keytrail.sinks.runs import SHOWN, read_runs

_COLUMNS = ("producer", "hour", "numbers", "emitted", "stored", "awaited", "missing", "doubled", "holes")


def run(options: argparse.Namespace) -> int:
    """0 where every number is stored once, or may still come; else 1."""
    since = parse_past(options.since, system_clock()) if options.since else None
    settings = settings_from(options)
    hours = read_runs(ClickHouse(settings.clickhouse, database=settings.database), since)
    if options.json:
        print_json({**asdict(hour), "emitted": hour.emitted} for hour in hours)
    elif not hours:
        progress("No producer has numbered events in that time.")
    else:
        print_table(
            _COLUMNS,
            [
                (
                    *(hour.producer_id, hour.hour, f"{hour.first}-{hour.last}", hour.emitted),
                    *(hour.stored, hour.awaited, hour.missing, hour.doubled),
                    ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in hour.holes)
                    + (", ..." if len(hour.holes) == SHOWN else ""),
                )
                for hour in hours
            ],
        )
    return 0 if all(hour.complete for hour in hours) else 1
