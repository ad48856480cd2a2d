"""`keytrail migrate`: brings the tables up to date; with `--plan` says what that would do."""

import argparse
from collections.abc import Iterable, Sequence

from keytrail.cli.options import connection_flags, json_flag, settings_from
from keytrail.cli.output import print_json, print_table, progress
from keytrail.sinks.clickhouse.migrate import Step, committed_migrations, migrate, plan

_SHOWN_CHARS = 70


def arguments(parser: argparse.ArgumentParser) -> None:
    connection_flags(parser)
    json_flag(parser)
    parser.add_argument(
        "--plan", action="store_true", help="show the statements and what they rewrite, and change nothing"
    )


def run(options: argparse.Namespace) -> int:
    settings = settings_from(options, needs=("clickhouse",))
    if options.plan:
        steps = plan(settings.clickhouse, settings.database, committed_migrations())
        _print(steps, as_json=options.json)
        return 0
    done = migrate(settings)
    if options.json:
        print_json({"migration": name} for name in done)
    else:
        progress(f"Applied: {', '.join(done)}." if done else "The tables are up to date.")
    return 0


def _print(steps: Sequence[Step], *, as_json: bool) -> None:
    if as_json:
        print_json(vars(step) for step in steps)
    elif not steps:
        progress("The tables are up to date.")
    else:
        print_table(("migration", "step", "rewrites", "statement"), _lines(steps))


def _lines(steps: Iterable[Step]) -> Iterable[Sequence[object]]:
    for step in steps:
        statement = " ".join(step.statement.split())
        shown = statement if len(statement) <= _SHOWN_CHARS else statement[: _SHOWN_CHARS - 1] + "…"
        yield step.migration, step.number, _rewrites(step), shown


def _rewrites(step: Step) -> str:
    if step.rewrites is None:
        return "nothing"
    if not step.rewrites:
        return "perhaps rows"
    return f"{step.rows:,} rows, {step.size_bytes / 2**20:,.1f} MiB"
