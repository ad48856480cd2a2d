"""`keytrail sink`: moves the topics into ClickHouse until SIGTERM or Ctrl-C."""

import argparse
import signal
from types import FrameType

from keytrail.cli.options import connection_flags, pass_over_flag, settings_from
from keytrail.cli.output import log_to_stderr
from keytrail.schemas.damage import pass_over
from keytrail.sinks.clickhouse.errors import StoppedError
from keytrail.sinks.clickhouse.patience import Patience
from keytrail.sinks.clickhouse.run import make_sink
from keytrail.sinks.clickhouse.sink import Sink, SinkConfig


def arguments(parser: argparse.ArgumentParser) -> None:
    connection_flags(parser)
    parser.add_argument(
        "--instance",
        default="",
        metavar="NAME",
        help="a name of this sink's own that a restart keeps: a short absence then moves no partition",
    )
    pass_over_flag(parser, "its records are missing from the table")


def run(options: argparse.Namespace) -> int:
    chosen = pass_over(options.pass_over)
    settings = settings_from(options)
    log_to_stderr()
    patience = Patience()
    running: list[Sink] = []

    def stop(_signal: int, _frame: FrameType | None) -> None:
        if running:
            running[0].stop()
        else:
            patience.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    how = SinkConfig(group_instance=options.instance, pass_over=chosen)
    try:
        running.append(make_sink(settings, how, patience))
        running[0].run()
    except StoppedError:
        return 0
    return 0
