"""Sequence holes: a producer gave its events numbers, and some of them never came.

A producer numbers the events of each of its runs from 1 without holes; they lie in all partitions. With a
the hour in which a number of a run came, the event's own or the one that its partition has reached,
whichever is later, n is missing where

    a higher number of the run came in hour a, or was told as lost, and
    n has not come by the end of hour  a + sequences.late_hours

The time is that of the stream, as for `audit_silence`: an hour is judged once every partition is past it; an
event counts as of no later than when the broker had it, so a wrong clock moves nothing. One finding a
service, with how many numbers are missing, of which run, and between which two; `count` is their number. Each
hour in which that changes states it anew, and it resolves once all of them have come. What the producer
itself tells (`audit_loss`) counts as well, and is named, as far as it is about numbers that are missing;
where it told all of it the severity is medium. A new run is no hole. The numbers of a run count from 1 where
its id ends in a UUID of version 7, as the SDK's do, from after keytrail began to count and not from after its
first number came; else from the lowest that was seen at first. A run that rests for 28 days is forgotten;
what it lacked stays told until somebody closes it, and is counted in what is told later.

Anyone who may write events can claim a run and a number. A number more than 16,777,216 ahead of the run's
others moves nothing: it is counted apart, as one that does not fit, and the finding says so. Of a run 1,000
holes and 65,536 blocks of numbers are kept, of a service 1,000 runs that rest and 10,000 more; in a run with
more, and in new runs of a service with more, nothing is missing in those hours. Who can claim the missing
numbers can hide them, and who can tell losses can have them taken for such.

False positives: producers that do not count as they should (have them send 0); events that became dead
letters (replay them); a clock that was set back in what is imported long afterwards, until the rest has come.
ATT&CK T1562.006 (Indicator Blocking); no item of OWASP's NHI Top 10 is about it. Source of the idea: sequence
numbers against lost and removed records, as in RFC 5848 (signed syslog) and in Kafka's idempotent producer.

This is what the rule says; `stream/sequences/` keeps the numbers.
"""

from collections.abc import Sequence
from typing import NamedTuple

from keytrail.schemas.records import Micros
from keytrail.stream.conduct.tallies import HOUR
from keytrail.stream.detections.verdict import Rule, Verdict

RULE = Rule("sequence_holes", 1, "condition", "high", "T1562.006", measure="figure")


class RunHoles(NamedTuple):
    """What one run lacks: so many numbers between these, `told` of them by the producer itself.

    `stray` numbers were far ahead of its others, the lowest of them `first_stray`.  `since` and `until` are
    the hours in which numbers came that showed it, the first and the last.  Those that are forgotten are told
    as one without a name, for so many `runs`.
    """

    producer_id: str
    missing: int
    first: int
    last: int
    told: int
    stray: int
    first_stray: int
    since: int
    until: int
    runs: int = 1


def lacks(service: str, runs: Sequence[RunHoles]) -> Verdict:
    """The service's runs that lack something, at least one."""
    latest = max(runs, key=lambda run: (run.producer_id != "", run.until, run.missing, run.producer_id))
    missing, told = sum(run.missing for run in runs), sum(run.told for run in runs)
    stray = sum(run.stray for run in runs)
    details = {
        "missing": str(missing),
        "told_lost": str(told),
        "runs": str(sum(run.runs for run in runs)),
        "run": latest.producer_id,
        "run_missing": str(latest.missing),
        "first": str(latest.first),
        "last": str(latest.last),
    }
    if stray:
        details |= {"stray": str(stray), "first_stray": str(min(r.first_stray for r in runs if r.stray))}
    return Verdict(
        RULE,
        "service",
        service,
        "",
        _summary(service, missing, told, stray, latest),
        f"See what {service} logs of losses, and whether its host has a spool that waits; replay its "
        "dead letters (keytrail deadletter list); else find out who can remove or forge events on their way.",
        severity="medium" if told >= missing and not stray else "high",
        details=details,
        count=missing + stray,
        since=Micros(min(run.since for run in runs) * HOUR),
        until=Micros(max(run.until for run in runs) * HOUR),
    )


def whole(service: str, hour: int) -> Verdict:
    """Nothing is missing any more."""
    at = Micros(hour * HOUR)
    return Verdict(
        RULE,
        "service",
        service,
        "",
        f"All that {service} numbered has come.",
        "",
        holds=False,
        since=at,
        until=at,
    )


def _summary(service: str, missing: int, told: int, stray: int, latest: RunHoles) -> str:
    said = []
    if missing:
        said.append(f"{missing} events that {service} numbered have not come")
        if latest.first:
            said.append(
                f", lately {latest.missing} from {latest.first} to {latest.last} of {latest.producer_id}"
            )
        if told:
            said.append(f"; it told {told} of them as lost itself")
        said.append(". ")
    if stray:
        said.append(f"{stray} events name {service} and numbers far ahead of their runs.")
    return "".join(said).strip()
