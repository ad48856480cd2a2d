"""The `keytrail` command: finds the subcommand's module, runs it, and turns errors into one line.

A subcommand is a module of this package with `arguments(parser)` and `run(options) -> exit code`;
it is imported only when it is called, so that a service's small install can run `keytrail emit`.
Exit codes: 0 fine, 1 something is wrong, 2 used wrongly.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from keytrail.schemas.errors import KeytrailError, UsageError

COMMANDS = {
    "up": "start the embedded stack: Kafka, schema registry, ClickHouse, worker, sink, OTLP",
    "down": "stop the embedded stack",
    "status": "what runs, and how far each stage is behind; --check balances the books",
    "demo": "start a stack in a scratch folder, send a scenario, show what was found, stop",
    "keys": "issue, rotate, suspend, resume, revoke, import, adopt, show and list keys; their secrets",
    "emit": "send one event by hand",
    "import": "send an existing audit log, such as AWS CloudTrail, as events",
    "simulate": "send a made-up company's traffic with known anomalies in it",
    "score": "compare the findings with a simulation's truth file",
    "anomalies": "show findings; --follow waits for more; ack and close them",
    "sql": "run a query in ClickHouse",
    "retention": "how long events are kept: show it, and remove what has been kept long enough",
    "hold": "legal holds: what must not be removed; add, list, release",
    "readers": "who may read the log in ClickHouse: add, remove, list; the same as SQL for a server",
    "person": "what is held on a person in privacy mode: show, export; the secrets for it",
    "erase": "destroy a person's keys, so that what they sealed can be read by nobody",
    "report": "answer a common question, such as a key's whole chain over all services",
    "checkpoints": "show the signed checkpoints and their keys; rotate the key",
    "verify": "prove that no row was changed, removed, added or reordered",
    "prove": "give a proof that an event is in the log, for a file that anybody can check",
    "backtest": "try a policy on past events: what would be new, gone or changed",
    "deadletter": "show records that could not be used",
    "policy": "check, show and compare the files that the rules are tuned by",
    "worker": "run one stream worker (production; `up` starts one by itself)",
    "sink": "run one ClickHouse sink (production; `up` starts one by itself)",
    "notary": "sign checkpoints of what is stored (production; `up` starts one by itself)",
    "webhook": "send findings on to a webhook: signed, tried again until they are taken",
    "otlp": "take spans and log records from OpenTelemetry (production; `up` starts it by itself)",
    "migrate": "bring the tables up to date; --plan shows what that would do",
    "prepare": "create topics, register schemas, migrate tables (production; `up` does it by itself)",
}


def parser_for(command: str) -> argparse.ArgumentParser:
    """The parser with every command's name, and the flags of this one."""
    parser = argparse.ArgumentParser(
        prog="keytrail", description="Audit pipeline for provisioning keys.", allow_abbrev=False
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        sub = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if name == command:
            _module(name).arguments(sub)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    chosen = next((word for word in arguments if not word.startswith("-")), "")
    try:
        options = parser_for(chosen).parse_args(arguments)
        return int(_module(chosen).run(options))
    except UsageError as error:
        print(f"keytrail {chosen}: {error}", file=sys.stderr)
        return 2
    except KeytrailError as error:
        print(f"keytrail {chosen}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as in `keytrail sql ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _module(command: str):  # type: ignore[no-untyped-def]  # modules have no static type
    try:
        return importlib.import_module(f"keytrail.cli.{command if command != 'import' else 'import_'}")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("keytrail.cli"):
            raise
        raise UsageError(
            f"`{command}` needs the package {error.name}, which is not installed.",
            'Install it with: pip install "keytrail[stream,sink,embedded]"',
        ) from error


if __name__ == "__main__":
    sys.exit(main())
