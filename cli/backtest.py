"""`keytrail backtest`: two policies on the same past events, and what changes from one to the other."""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from keytrail.cli.moments import parse_past
from keytrail.cli.options import connection_flags, json_flag, settings_from
from keytrail.cli.output import log_to_stderr, print_json, print_table, progress
from keytrail.cli.policy_in_force import policy_in_force, policy_of
from keytrail.cli.sparkline import sparkline
from keytrail.producers.clock import system_clock
from keytrail.schemas.errors import UsageError
from keytrail.stream.backtest.backtest import Counts
from keytrail.stream.backtest.comparison import Comparison, RuleChange, compare
from keytrail.stream.backtest.history import History
from keytrail.stream.backtest.side_by_side import Past, judge_both
from keytrail.stream.policies.policy import Policy
from keytrail.stream.worker.memory import give_back

REAL_TIME = 1_000  # events a second
_PROGRESS_EVERY_S = 5.0
_WIDTH = 30


@dataclass(frozen=True)
class Run:
    """What was judged, and how long it took with all the reading."""

    counts: Counts
    seconds: float

    @property
    def events_per_s(self) -> int:
        return round(self.counts.records / self.seconds) if self.seconds else 0

    @property
    def times_real_time(self) -> float:
        return round(self.events_per_s / REAL_TIME, 1)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="the policy to try")
    parser.add_argument("--since", metavar="TIME", help="events that Kafka took from then on, such as 90d")
    parser.add_argument("--until", metavar="TIME", help="and before then; default: until now")
    parser.add_argument(
        "--against", type=Path, metavar="FILE2", help="the policy to compare with; default: the one in force"
    )
    json_flag(parser)
    connection_flags(parser)


def run(options: argparse.Namespace) -> int:
    """Changes nothing.  Exit code 0 whatever is found: a difference is an answer."""
    now = system_clock()
    since = parse_past(options.since, now) if options.since else None
    until = parse_past(options.until, now) if options.until else None
    if since is not None and until is not None and since >= until:
        raise UsageError("--until is not later than --since.", "Give the earlier time to --since.")
    tried = policy_of(options.file)
    settings = settings_from(options, needs=("kafka", "registry"))
    log_to_stderr()
    in_force = policy_of(options.against) if options.against else policy_in_force(settings.kafka)
    give_back()
    began = time.monotonic()
    history = History(settings.kafka)
    # The end of the events first: each key is then known at least as well as when its last use came.
    spans = history.spans(since, until)
    past = Past(history.partitions(), spans, history.keys())
    before, after = judge_both(settings, (in_force, tried), past, system_clock, _progress())
    comparison = compare(before.findings, after.findings)
    done = Run(after.counts, time.monotonic() - began)
    if options.json:
        _print_json(comparison, done, in_force, tried)
    else:
        _print(comparison, done)
    return 0


def _progress() -> Callable[[int], None]:
    """A word on stderr now and then."""
    due = time.monotonic() + _PROGRESS_EVERY_S

    def hear(records: int) -> None:
        nonlocal due
        if time.monotonic() > due:
            due = time.monotonic() + _PROGRESS_EVERY_S
            progress(f"{records} records judged.")

    return hear


def _print(comparison: Comparison, done: Run) -> None:
    seen = [day for rule in comparison.rules for day in rule.by_day]
    first, last = (min(seen), max(seen)) if seen else (None, None)
    days = [first + timedelta(n) for n in range((last - first).days + 1)] if first and last else []
    together = -(-len(days) // _WIDTH) or 1
    print_table(
        ("rule", "in force", "new", "gone", "changed", "first seen, by day"),
        (
            (rule.rule, rule.in_force, rule.new, rule.gone, rule.changed, _bars(rule, days, together))
            for rule in comparison.rules
        ),
    )
    if days:
        print(f"Each mark: {together} {'day' if together == 1 else 'days'}, from {first} to {last} (UTC).\n")
    print_table(
        ("noisiest", "findings", "count"),
        ((f"{one.entity_type} {one.entity}", one.findings, one.count) for one in comparison.noisiest),
    )
    counts = done.counts
    print(
        f"\n{counts.records} records judged in {done.seconds:.1f} s ({counts.duplicates} of them duplicates, "
        f"{counts.dead} not usable): {done.events_per_s} a second, "
        f"{done.times_real_time:g} times real time at {REAL_TIME} events a second."
    )


def _bars(rule: RuleChange, days: Sequence[date], together: int) -> str:
    return sparkline([rule.by_day[day] for day in days], together)


def _print_json(comparison: Comparison, done: Run, in_force: Policy, tried: Policy) -> None:
    """A row for each rule, one for each of the noisiest entities, and one for the run."""
    for rule in comparison.rules:
        by_day = {str(day): rule.by_day[day] for day in sorted(rule.by_day)}
        print_json([{**vars(rule), "by_day": by_day}])
    print_json(map(vars, comparison.noisiest))
    rate = {"events_per_s": done.events_per_s, "times_real_time": done.times_real_time}
    policies = {"policy_version": tried.version, "against_version": in_force.version}
    print_json([{**policies, **vars(done.counts), "seconds": round(done.seconds, 3), **rate}])
