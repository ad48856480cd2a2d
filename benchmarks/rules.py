"""What each rule costs: asked about a simulated company's events, without reading, storing or telling.

What keys do, which services report, which privileged keys are used and which numbers came, is measured
apart: drawing it together in the event stage, and judging it in the finding stage.  How much of it is told
depends on how often a key is used, and a service reports: the simulated half year is squeezed into two days.

python -m benchmarks.rules
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from benchmarks.measure import Result, keep, measure
from keytrail.producers.simulation import Simulation
from keytrail.schemas.records import Event, Signal
from keytrail.stream.access.access import Change, SubjectAccess
from keytrail.stream.conduct.tallies import Tallies
from keytrail.stream.conduct.watch import ConductWatch
from keytrail.stream.detections.catalogue import EVENT_RULES, RULES_BY_CHANGE, EventRule, SubjectRule
from keytrail.stream.dormancy.watch import DormancyWatch
from keytrail.stream.keys.keys import KeyAtEvent, KeyDirectory, KeyTraits
from keytrail.stream.policies.policy import Policy
from keytrail.stream.policies.timeline import Timeline
from keytrail.stream.sequences.watch import SequenceWatch
from keytrail.stream.silence.progress import LATENESS
from keytrail.stream.silence.reports import Reports
from keytrail.stream.silence.watch import SilenceWatch
from keytrail.stream.stages.judging import Judge
from keytrail.stream.worker.memory import calm_collector

EVENTS = 50_000
_BATCH = 5_000  # as a worker under load takes them: what a key does in one is told once
_SQUEEZE = 90
# The rules that the first worker had.
_FIRST = frozenset(
    {
        *("unknown_key", "inactive_key", "out_of_scope", "privileged_grant", "missing_reason"),
        *("redundant_grant", "role_sprawl"),
    }
)
_POLICY = Policy()
_REPORTED = "which services report, numbers and privileged keys' uses, told"

Asked = Sequence[tuple[Event, KeyAtEvent]]


def run() -> Iterator[Result]:
    simulation = Simulation(EVENTS, seed=7)
    directory = KeyDirectory()
    for key in list(simulation.keys()):
        directory.apply(key)
    asked = [(event, directory.at(event)) for event in simulation.events()]
    first = [rule for rule in EVENT_RULES if _name(rule.judge) in _FIRST]
    of_subjects = {rule for rules in RULES_BY_CHANGE.values() for rule in rules}
    first_of_subjects = {rule for rule in of_subjects if _name(rule) in _FIRST}
    yield measure("no rule", EVENTS, lambda: _asking(asked, [], frozenset()))
    yield measure("the first rules", EVENTS, lambda: _asking(asked, first, first_of_subjects))
    yield measure("the whole catalogue", EVENTS, lambda: _asking(asked, EVENT_RULES, of_subjects))
    squeezed = _squeezed(asked)
    yield measure("what keys do, told", EVENTS, lambda: lambda: _tell(squeezed))
    tallies = _tell(squeezed)
    yield measure("what keys do, judged", EVENTS, lambda: lambda: _watch(tallies))
    yield measure(_REPORTED, EVENTS, lambda: lambda: _report(squeezed))
    reports = _report(squeezed)
    yield measure("which services report, judged", EVENTS, lambda: lambda: _miss(reports))
    yield measure("which privileged keys are used, judged", EVENTS, lambda: lambda: _lie(directory, reports))
    yield measure("which numbers came, judged", EVENTS, lambda: lambda: _miss_numbers(reports))
    for rule in EVENT_RULES:
        yield measure(_name(rule.judge), EVENTS, lambda rule=rule: _asking(asked, [rule], frozenset()))
    for of_subject in sorted(of_subjects, key=_name):
        yield measure(_name(of_subject), EVENTS, lambda rule=of_subject: _asking(asked, [], {rule}))


def _squeezed(asked: Asked) -> Asked:
    """The same with a key's events as near to each other as those of keys in daily use."""
    begin = min(event.occurred_at for event, _ in asked)
    return [
        (replace(event, occurred_at=begin + (event.occurred_at - begin) // _SQUEEZE), key)
        for event, key in asked
    ]


def _tell(asked: Asked) -> list[Signal]:
    tallies = Tallies()
    told = []
    for start in range(0, len(asked), _BATCH):
        for event, key in asked[start : start + _BATCH]:
            if key.key is not None:
                tallies.note(event, key.key)
        told += tallies.signals(_POLICY.version)
    return told


def _watch(tallies: list[Signal]) -> None:
    watch = ConductWatch()
    for start in range(0, len(tallies), _BATCH):
        for signal in tallies[start : start + _BATCH]:
            if signal.tally is not None:
                watch.take(signal.entity, [signal.tally], _POLICY)
        watch.take_changes()


def _report(asked: Asked) -> list[Signal]:
    reports, judge = Reports(0), Judge(_POLICY)
    told = []
    for start in range(0, len(asked), _BATCH):
        for event, key in asked[start : start + _BATCH]:
            reports.note(event, event.occurred_at)
            if key.key is not None and judge.watches(key):
                reports.use_privileged(key.key.key_id, event, event.occurred_at)
        told += reports.signals(_POLICY.version)
        reports.take_changes()
    return told


def _miss(reports: list[Signal]) -> None:
    watch = SilenceWatch(Timeline(_POLICY), 1)
    for signal in reports:
        if signal.attendance is not None:
            watch.take(signal.attendance, _POLICY.version)
        tuple(watch.judge())
        watch.take_changes()


def _lie(directory: KeyDirectory, reports: list[Signal]) -> None:
    watch = DormancyWatch(Timeline(_POLICY), directory)
    for signal in reports:
        if signal.attendance is not None:
            watch.take(signal.attendance, _POLICY.version)
            tuple(watch.judge(signal.attendance.hour - LATENESS))
        watch.take_changes()


def _miss_numbers(reports: list[Signal]) -> None:
    watch = SequenceWatch(Timeline(_POLICY), 1)
    for signal in reports:
        if signal.attendance is not None:
            watch.take(signal.attendance, _POLICY.version)
            tuple(watch.judge(signal.attendance.hour))
        watch.take_changes()


def _name(judge: Callable[..., object]) -> str:
    return judge.__module__.rpartition(".")[2]


def _asking(
    asked: Asked, rules: Iterable[EventRule], of_subjects: Iterable[SubjectRule]
) -> Callable[[], object]:
    """Asks these rules; what the subjects hold is kept in any case, so that only the rules differ."""
    concerned: dict[tuple[str, KeyTraits], list[EventRule]] = {}
    for event, key in asked:
        name = (event.action, key.traits)
        concerned.setdefault(name, [rule for rule in rules if rule.may_fire(*name, _POLICY)])
    by_change = {
        change: [rule for rule in RULES_BY_CHANGE.get(change, ()) if rule in set(of_subjects)]
        for change in Change
    }
    subjects: dict[str, SubjectAccess] = {}

    def ask() -> None:
        for event, key in asked:
            for rule in concerned[event.action, key.traits]:
                tuple(rule.judge(event, key, _POLICY))
            subject = subjects.setdefault(event.whose, SubjectAccess())
            for judge in by_change[subject.apply(event)]:
                tuple(judge(event, subject, _POLICY))

    return ask


def main() -> None:
    calm_collector()  # as the worker has it
    results = list(run())
    base, first, whole = (result.cpu_s_per_100k for result in results[:3])
    costs = [(result.stage, result.cpu_s_per_100k) for result in results[3:9]]
    whole += sum(cost for _, cost in costs)
    costs += [(result.stage, result.cpu_s_per_100k - base) for result in results[9:]]
    costs += [("the first rules", first - base), ("the whole catalogue", whole - base)]
    ratio = (whole - base) / (first - base)
    lines = ["| rule | CPU s per 100,000 events |", "|---|---|"]
    lines += [f"| {name} | {cost:.3f} |" for name, cost in costs]
    lines += ["", f"The whole catalogue costs {ratio:.2f} times the first rules."]
    keep("rules", {"costs": dict(costs), "ratio": ratio}, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
