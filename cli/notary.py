"""`keytrail notary`: signs checkpoints of what the sink has stored, until SIGTERM or Ctrl-C."""

import argparse
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from types import FrameType

from keytrail.cli.options import connection_flags, settings_from
from keytrail.cli.output import log_to_stderr
from keytrail.schemas.errors import KeytrailError
from keytrail.schemas.records import Micros
from keytrail.sinks.clickhouse.errors import StoppedError
from keytrail.sinks.clickhouse.patience import Patience, tell
from keytrail.sinks.proof.notary import Notary


def arguments(parser: argparse.ArgumentParser) -> None:
    connection_flags(parser)
    parser.add_argument(
        "--every", type=float, default=10.0, metavar="S", help="seconds between checkpoints (%(default)s)"
    )
    parser.add_argument(
        "--anchor", metavar="FILE", help="append copies of the checkpoints there (KEYTRAIL_PROOF_ANCHOR)"
    )
    parser.add_argument(
        "--anchor-command",
        metavar="COMMAND",
        help="give the copies to this command's stdin (KEYTRAIL_PROOF_ANCHOR_COMMAND)",
    )
    parser.add_argument(
        "--anchor-every", type=float, default=60.0, metavar="S", help="seconds between copies (%(default)s)"
    )
    parser.add_argument("--once", action="store_true", help="one round, with its copies, then end")


def run(options: argparse.Namespace) -> int:
    settings = settings_from(options)
    settings = replace(
        settings,
        anchor=options.anchor or settings.anchor,
        anchor_command=options.anchor_command or settings.anchor_command,
    )
    log_to_stderr()
    notary = Notary(settings, now)
    try:
        if options.once:
            notary.round()
            notary.anchor()
            return 0
        return _go_on(notary, options.every, options.anchor_every)
    finally:
        notary.close()


def now() -> Micros:
    return time.time_ns() // 1000


def _go_on(notary: Notary, every_s: float, anchor_every_s: float) -> int:
    patience = Patience()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        patience.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    failures = anchor_failures = 0
    anchor_at = time.monotonic()
    try:
        while True:
            failures = _tried(notary.round, "the checkpoint", failures)
            if time.monotonic() >= anchor_at:
                anchor_failures = _tried(notary.anchor, "the anchor", anchor_failures)
                anchor_at = time.monotonic() + anchor_every_s
            patience.wait(every_s)
    except StoppedError:
        return 0


def _tried(work: Callable[[], object], what: str, failures: int) -> int:
    """How many times in a row it has failed by now."""
    try:
        work()
    except KeytrailError as error:
        tell(what, failures + 1, error)
        return failures + 1
    return 0
