"""`keytrail webhook`: sends findings on to a webhook until SIGTERM or Ctrl-C.

URL and secret come from the environment, `keytrail.toml` or a file: what stands in a command line is seen by
every user of the machine.
"""

import argparse
import signal
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import get_args

from keytrail.cli.options import connection_flags, settings_from
from keytrail.cli.output import log_to_stderr
from keytrail.schemas.errors import KeytrailError, UsageError
from keytrail.schemas.records import Severity
from keytrail.schemas.settings import configured
from keytrail.sinks.webhook.filter import Wanted
from keytrail.sinks.webhook.forms import FORMS
from keytrail.sinks.webhook.forwarder import Forwarder, WebhookConfig
from keytrail.sinks.webhook.refused import RefusedFile
from keytrail.sinks.webhook.signing import secret_of
from keytrail.sinks.webhook.target import Target

SECTION = "webhook"
_SEVERITIES: tuple[str, ...] = get_args(Severity)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--form", choices=tuple(FORMS), help="KEYTRAIL_WEBHOOK_FORM; else json")
    parser.add_argument(
        "--severity",
        choices=_SEVERITIES,
        help="this one and those above (KEYTRAIL_WEBHOOK_SEVERITY; else all)",
    )
    parser.add_argument("--rule", action="append", default=[], metavar="NAME", help="may be repeated")
    parser.add_argument(
        "--name", default="default", metavar="NAME", help="tells several webhooks apart (%(default)s)"
    )
    parser.add_argument(
        "--refusals",
        type=int,
        default=3,
        metavar="N",
        help="so often a target may refuse a finding before it is set aside (%(default)s)",
    )
    parser.add_argument(
        "--refused", type=Path, metavar="FILE", help="where those go; default: in the data directory"
    )
    parser.add_argument(
        "--allow-private",
        action="store_true",
        help="send to a private network too, and by http (KEYTRAIL_WEBHOOK_ALLOW_PRIVATE=yes)",
    )
    parser.add_argument(
        "--from-beginning", action="store_true", help="the first time: every record of the topic"
    )
    connection_flags(parser)


def run(options: argparse.Namespace) -> int:
    settings = settings_from(options, needs=("kafka", "registry"))
    secret = _from_environment("secret")
    config = WebhookConfig(
        target=Target(
            _url(), allow_private=options.allow_private or configured(SECTION, "allow_private") == "yes"
        ),
        secret=secret_of(secret) if secret else None,
        form=options.form or _word("form", tuple(FORMS), "json"),
        wanted=Wanted(
            options.severity or _word("severity", _SEVERITIES, _SEVERITIES[0]), frozenset(options.rule)
        ),
        name=options.name,
        refusals=max(1, options.refusals),
        from_beginning=options.from_beginning,
    )
    log_to_stderr()
    path = options.refused or settings.data_dir / f"webhook-{options.name}-refused.jsonl"
    refused = RefusedFile(path)
    forwarder = Forwarder(settings, config, refused)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        forwarder.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        forwarder.run()
    except OSError as error:
        raise KeytrailError(
            f"What the webhook refused cannot be kept in {path} ({error.strerror}).",
            "Name another file with --refused; nothing was lost.",
        ) from error
    return 0


def is_configured() -> bool:
    """True where a URL is named, so that `keytrail up` starts a webhook."""
    return bool(configured(SECTION, "url") or configured(SECTION, "url_file"))


def _word(name: str, known: Sequence[str], usual: str) -> str:
    """A configured word that is one of the known; `usual` where none is."""
    word = configured(SECTION, name) or usual
    if word not in known:
        raise UsageError(
            f"KEYTRAIL_{SECTION}_{name}".upper() + f" is {word!r}.", f"Set it to one of {', '.join(known)}."
        )
    return word


def _url() -> str:
    if url := _from_environment("url"):
        return url
    raise UsageError(
        "No webhook is configured.",
        "Set KEYTRAIL_WEBHOOK_URL, or KEYTRAIL_WEBHOOK_URL_FILE to a file with it.",
    )


def _from_environment(name: str) -> str:
    """The value, or what stands in the file that `..._FILE` names; "" where neither is set."""
    if value := configured(SECTION, name):
        return value
    path = configured(SECTION, f"{name}_file")
    try:
        return Path(path).read_text().strip() if path else ""
    except (OSError, UnicodeDecodeError) as error:
        variable = f"KEYTRAIL_{SECTION}_{name}_FILE".upper()
        raise UsageError(f"{path} cannot be read.", f"See who may read it, or correct {variable}.") from error
