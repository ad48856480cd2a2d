"""`keytrail status --check`: whether what went in came out, once, at every stage."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from time import monotonic

from keytrail.cli.options import settings_from
from keytrail.cli.output import print_json, print_table
from keytrail.sinks.balance import Balance
from keytrail.sinks.books import Books
from keytrail.sinks.prometheus import exposition

_COLUMNS = ("stage", "partition", "expected", "found", "behind", "lost", "doubled", "state", "made of")


def run(options: argparse.Namespace) -> int:
    """0 where the books balance, lag or not; 1 where something is lost or there twice."""
    settings = settings_from(options)
    began = monotonic()
    with Books(settings) as books:
        balances = books.check()
    if options.prometheus:
        print("\n".join(exposition(balances, monotonic() - began)))
    elif options.json:
        print_json({**asdict(each), "state": each.state} for each in balances)
    else:
        _print(balances)
    return 0 if all(each.balanced for each in balances) else 1


def _print(balances: Sequence[Balance]) -> None:
    print_table(
        _COLUMNS,
        [
            (
                each.stage,
                "all" if each.partition is None else each.partition,
                *(each.expected, each.found, each.behind, each.lost, each.doubled, each.state),
                ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in each.parts.items() if count),
            )
            for each in balances
        ],
    )
    places = [
        (each.stage, state, place)
        for each in balances
        for state, some in (("LOST", each.lost_at), ("DOUBLE", each.doubled_at))
        for place in some
    ]
    if places:
        print()
        print_table(("stage", "state", "first places"), places)
