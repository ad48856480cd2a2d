"""Two policies on the same past at once, each in a process of its own."""

import logging
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count, islice
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection

from keytrail.schemas.errors import KeytrailError
from keytrail.schemas.masters import MasterFile
from keytrail.schemas.records import Anomaly, Micros
from keytrail.schemas.registry import Registry
from keytrail.schemas.settings import Settings
from keytrail.stream.backtest.backtest import Backtest, Counts
from keytrail.stream.backtest.history import History, KeyRecord, Span, directory_of
from keytrail.stream.policies.policy import Policy
from keytrail.stream.worker.memory import calm_collector, give_back

_BATCH = 40_000
# Batches after which what changed is packed, since it takes less memory then.  Nobody reads it.
_UNPACKED = 3

Clock = Callable[[], Micros]


@dataclass(frozen=True)
class Past:
    """Which events of how many partitions, and every key: the same for whoever judges it."""

    partitions: int
    spans: Sequence[Span]
    keys: Sequence[KeyRecord]


@dataclass(frozen=True)
class Judged:
    """The latest state of each finding, and what was read."""

    findings: Sequence[Anomaly]
    counts: Counts


def judge(
    settings: Settings, policy: Policy, past: Past, clock: Clock, hear: Callable[[int], None]
) -> Judged:
    """`hear` is told now and then how many records were judged.  Takes this process's collector over.

    Raises `UnavailableError` where Kafka or the registry is away, and what `MasterFile.current` raises.
    """
    schemas = Registry(settings.registry)
    keys = directory_of(past.keys, schemas)
    calm_collector()
    masters = MasterFile(settings.masters).current
    backtest = Backtest(policy, keys, schemas, clock, masters, past.partitions)
    events = History(settings.kafka).events(past.spans)
    for number in count(1):
        some = list(islice(events, _BATCH))
        if not some:
            break
        backtest.take(some)
        if number % _UNPACKED == 0:
            backtest.take_changes()
        hear(backtest.counts.records)
    return Judged(backtest.findings(), backtest.counts)


def judge_both(
    settings: Settings,
    policies: tuple[Policy, Policy],
    past: Past,
    clock: Clock,
    hear: Callable[[int], None],
) -> tuple[Judged, Judged]:
    """As `judge`, by both; `clock` must be a function that another process finds by its name.

    What goes wrong with the first policy is raised as a plain `KeytrailError`.
    """
    context = get_context("spawn")
    here, there = context.Pipe(duplex=False)
    first, second = policies
    other = context.Process(target=_judge_and_tell, args=(there, settings, first, past, clock), daemon=True)
    other.start()
    there.close()
    answers: list[Judged] = []

    def hear_both(records: int) -> None:
        if not answers and here.poll():
            answers.append(_told(here))
        hear(records)

    try:
        judged = judge(settings, second, past, clock, hear_both)
        return answers[0] if answers else _told(here), judged
    finally:
        other.kill()
        other.join()


def _judge_and_tell(there: Connection, settings: Settings, policy: Policy, past: Past, clock: Clock) -> None:
    # The first process hears of an interrupt too, and ends this one; what it logs is not said twice.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.disable()
    give_back()
    try:
        there.send(judge(settings, policy, past, clock, _end_with_parent))
    except KeytrailError as error:
        there.send(KeytrailError(error.message, error.remedy))


def _end_with_parent(_records: int) -> None:
    parent = parent_process()
    if parent is None or not parent.is_alive():
        os._exit(1)


def _told(here: Connection) -> Judged:
    try:
        answer: Judged | KeytrailError = here.recv()
    except (EOFError, OSError):
        raise KeytrailError(
            "The process that judged by the policy in force has ended before its answer.",
            "See what it said above, or whether there is memory enough for two, and run the backtest again.",
        ) from None
    if isinstance(answer, KeytrailError):
        raise answer
    return answer
