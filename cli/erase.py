"""`keytrail erase`: a person's keys are destroyed, so that nobody can read what they sealed."""

import argparse
import getpass

from keytrail.cli.options import connection_flags, settings_from
from keytrail.cli.output import progress
from keytrail.producers.clock import system_clock
from keytrail.producers.erasure import await_compaction, erase
from keytrail.schemas.errors import UnavailableError
from keytrail.schemas.masters import read_secrets
from keytrail.schemas.privacy import PrivacySecrets
from keytrail.schemas.settings import Settings


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("subject", metavar="SUBJECT", help="the person's name, or their pseudonym")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why; kept under your own key")
    parser.add_argument("--by", default="", metavar="NAME", help="who erases (your user name)")
    parser.add_argument(
        "--wait",
        type=float,
        default=300.0,
        metavar="SECONDS",
        help="how long to wait until Kafka has compacted the keys away (%(default)g)",
    )
    connection_flags(parser)


def run(options: argparse.Namespace) -> int:
    """May be run again at any time, also after it was killed: what is done stays done."""
    settings = settings_from(options, needs=("kafka", "registry"))
    done = erase(
        settings,
        secrets_of(settings),
        options.subject,
        actor=options.by or getpass.getuser(),
        reason=options.reason,
        clock=system_clock,
    )
    progress(f"{done.pseudonym}: {done.keys} keys destroyed." if done.keys else "No keys were left.")
    if not await_compaction(settings, done.pseudonym, options.wait):
        raise UnavailableError(
            f"The keys of {done.pseudonym} are destroyed, but still stand in Kafka's files "
            f"after {options.wait:g} s.",
            "Run the command again to wait longer; see that Kafka's log cleaner runs.",
        )
    print(done.pseudonym)
    return 0


def secrets_of(settings: Settings) -> PrivacySecrets:
    """Raises `UsageError` where there are none."""
    return PrivacySecrets(read_secrets(settings.privacy_secrets))
