"""`keytrail notary`: signs checkpoints of what the sink has stored, until SIGTERM or Ctrl-C."""

import argparse
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from types import FrameType

from keytrail.cli.options import connection_flags, settings_from
from keytrail.cli.output import log_to_stderr
from keytrail.schemas.errors import KeytrailError, UnavailableError
from keytrail.schemas.records import Micros
from keytrail.sinks.clickhouse.errors import StoppedError
from keytrail.sinks.clickhouse.patience import Patience, tell
from keytrail.sinks.proof.notary import Notary
from keytrail.sinks.proof.turn import Turn

_ONCE_PATIENCE_S = 15.0  # a notary that was killed has its turn for ten seconds more


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
        with Turn(settings.kafka) as turn:
            if not options.once:
                return _go_on(notary, turn, options.every, options.anchor_every)
            if not turn.is_mine(_ONCE_PATIENCE_S):
                raise UnavailableError(
                    "Another notary is at work; nothing was signed.", "Stop it, or let it sign what there is."
                )
            notary.round()
            notary.anchor()
            return 0
    finally:
        notary.close()


def now() -> Micros:
    return time.time_ns() // 1000


def _go_on(notary: Notary, turn: Turn, every_s: float, anchor_every_s: float) -> int:
    patience = Patience()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        patience.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    failures = anchor_failures = 0
    anchor_at = time.monotonic()

    def round_of_ours() -> None:
        if turn.is_mine():
            notary.round()
        else:
            notary.forget()

    def anchor_of_ours() -> None:
        if turn.is_mine():
            notary.anchor()

    try:
        while True:
            failures = _tried(round_of_ours, "the checkpoint", failures)
            if time.monotonic() >= anchor_at:
                anchor_failures = _tried(anchor_of_ours, "the anchor", anchor_failures)
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
