"""`keytrail sink`: moves the topics into ClickHouse until SIGTERM or Ctrl-C."""

import argparse
import logging
import signal
import sys
from types import FrameType

from keytrail.cli.options import connection_flags, settings_from
from keytrail.sinks.clickhouse.errors import StoppedError
from keytrail.sinks.clickhouse.patience import Patience
from keytrail.sinks.clickhouse.run import make_sink
from keytrail.sinks.clickhouse.sink import SinkConfig


def arguments(parser: argparse.ArgumentParser) -> None:
    connection_flags(parser)
    parser.add_argument(
        "--instance",
        default="",
        metavar="NAME",
        help="a name of this sink's own that a restart keeps: a short absence then moves no partition",
    )


def run(options: argparse.Namespace) -> int:
    settings = settings_from(options)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    patience = Patience()

    def give_up(_signal: int, _frame: FrameType | None) -> None:
        patience.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, give_up)
    try:
        sink = make_sink(settings, SinkConfig(group_instance=options.instance), patience)
    except StoppedError:
        return 0
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _signal, _frame: sink.stop())
    sink.run()
    return 0
