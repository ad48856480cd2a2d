"""`keytrail prove`: a proof of an event, or that one checkpoint continues another, on stdout."""

import argparse

from keytrail.cli.checkpoints import trust_flag, trust_of
from keytrail.cli.options import connection_flags, settings_from
from keytrail.schemas.errors import UsageError
from keytrail.schemas.registry import Registry
from keytrail.sinks.clickhouse.http import ClickHouse
from keytrail.sinks.proof.leaf import Leaves
from keytrail.sinks.proof.proofs import Proving
from keytrail.sinks.proof.sources import Rows
from keytrail.sinks.retention.cuts import true_cuts


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("event", nargs="?", metavar="EVENT_ID", help="an event to prove")
    parser.add_argument(
        "--from", dest="old", type=int, metavar="SIZE", help="a checkpoint's number of records"
    )
    parser.add_argument(
        "--to", dest="new", type=int, metavar="SIZE", help="a later one's (default: the newest)"
    )
    parser.add_argument(
        "--partition", type=int, default=0, metavar="N", help="whose checkpoints (%(default)s)"
    )
    trust_flag(parser)
    connection_flags(parser)


def run(options: argparse.Namespace) -> int:
    if (options.event is None) == (options.old is None):
        raise UsageError("Nothing, or two things, to prove.", "Name an event, or a checkpoint with --from.")
    settings = settings_from(options, needs=("clickhouse", "registry"))
    clickhouse = ClickHouse(settings.clickhouse, database=settings.database)
    rows = Rows(clickhouse, Leaves(Registry(settings.registry)), true_cuts(clickhouse))
    proving = Proving(clickhouse, rows, trust_of(options, settings))
    if options.event is not None:
        print(proving.inclusion(options.event), end="")
    else:
        print(proving.consistency(options.partition, options.old, options.new), end="")
    return 0
