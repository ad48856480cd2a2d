"""`keytrail worker`: one stream worker."""

import argparse
import tempfile
from functools import partial
from pathlib import Path

from keytrail.cli.options import connection_flags, pass_over_flag, policy_flag, settings_from
from keytrail.cli.output import log_to_stderr
from keytrail.cli.policy_in_force import policy_of, refuse_file_beside_applied
from keytrail.schemas.damage import pass_over
from keytrail.schemas.settings import find_policy_file
from keytrail.stream.worker.patience import until_available
from keytrail.stream.worker.worker import BATCH_RECORDS, Worker, WorkerOptions


def arguments(parser: argparse.ArgumentParser) -> None:
    connection_flags(parser)
    parser.add_argument(
        "--instance",
        metavar="NAME",
        help="static name in the group: restarted within 6 s, it keeps its partitions",
    )
    parser.add_argument(
        "--batch",
        type=int,
        default=BATCH_RECORDS,
        metavar="N",
        help="most records in one transaction (%(default)s)",
    )
    policy_flag(parser)
    pass_over_flag(parser, "its records become dead letters")


def run(options: argparse.Namespace) -> int:
    chosen = pass_over(options.pass_over)
    settings = settings_from(options, needs=("kafka", "registry"))
    file = find_policy_file(options.policy)
    policy = policy_of(file)
    log_to_stderr()
    if file is not None:
        until_available("The worker", partial(refuse_file_beside_applied, settings.kafka, file, policy))
    with tempfile.TemporaryDirectory(prefix="keytrail-worker-") as scratch:
        how = WorkerOptions(
            Path(scratch), options.instance, options.batch, chosen, keeps_policy=file is not None
        )
        return Worker(settings, policy, how).run()
