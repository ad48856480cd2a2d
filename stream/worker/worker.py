"""The worker: a Faust app with an agent for each stage, whose batches are committed by transactions."""

import asyncio
import logging
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import faust
import mode
from faust.types import TP

from keytrail.schemas.damage import PassOver
from keytrail.schemas.errors import SchemaError, UnavailableError, UsageError
from keytrail.schemas.masters import MasterFile
from keytrail.schemas.records import Micros
from keytrail.schemas.registry import Registry
from keytrail.schemas.settings import Settings
from keytrail.schemas.signature import Masters
from keytrail.schemas.topics import EVENTS, SIGNALS, WORKER_GROUP, Topic
from keytrail.stream.errors import UnreadablePolicyError
from keytrail.stream.findings.signal_reading import SignalReader
from keytrail.stream.keys.key_feed import KeyFeed
from keytrail.stream.keys.keys import KeyDirectory
from keytrail.stream.policies.policy import Policy
from keytrail.stream.policies.policy_feed import PolicyFeed
from keytrail.stream.policies.timeline import Timeline
from keytrail.stream.reading.reading import EventReader
from keytrail.stream.reading.signed import MasterSource
from keytrail.stream.stages.event_stage import EventStage
from keytrail.stream.stages.finding_stage import FindingStage
from keytrail.stream.worker.at_hand import AtHand
from keytrail.stream.worker.group_member import MemberOptions
from keytrail.stream.worker.memory import calm_collector, give_back
from keytrail.stream.worker.partition_task import EventTask, FindingTask, PartitionTask, TaskContext
from keytrail.stream.worker.transaction import GroupOffsets
from keytrail.stream.worker.transport import BatchApp, BatchTransport

logger = logging.getLogger(__name__)

# A killed worker's partitions wait for the session to end; the broker allows no less than 6 s.  The others
# hear of it with their next heartbeat.
SESSION_S = 6.0
HEARTBEAT_S = 0.5
BATCH_RECORDS = 10_000
SETTLE_S = 1.0
STOP_S = 4.5
CLOSE_S = 20.0


def wall_clock() -> Micros:
    return time.time_ns() // 1000


@dataclass(frozen=True)
class WorkerOptions:
    """`instance` names a static member of the group, which keeps its partitions over a quick restart.

    A batch has at most `batch_records` records, and all partitions' batches of one topic together half as
    many again, so that a worker's memory does not grow with its partitions.
    `pass_over` names damaged batches to go on without; each of their records becomes a dead letter.
    With `keeps_policy` the worker goes by its own policy, whatever is applied.
    """

    data_dir: Path
    instance: str | None = None
    batch_records: int = BATCH_RECORDS
    pass_over: PassOver = field(default_factory=dict)
    keeps_policy: bool = False


class Worker:
    """Builds the Faust app; `run` serves until SIGTERM or SIGINT.

    `policy` counts for events before the first policy was applied.
    """

    topics: tuple[Topic, ...] = (EVENTS, SIGNALS)
    group = WORKER_GROUP

    def __init__(self, settings: Settings, policy: Policy, options: WorkerOptions) -> None:
        give_back()
        self._settings = settings
        self._policies = Timeline(policy)
        self._policy_feed = None if options.keeps_policy else PolicyFeed(settings.kafka, self._policies.take)
        if not MasterFile(settings.masters).current():
            logger.warning("There is no master secret in %s: signatures are not checked.", settings.masters)
        self._options = options
        self._registry = Registry(settings.registry)
        self._at_hand = AtHand(settings.data_dir)
        self._directory = KeyDirectory()
        self._keys = KeyFeed(settings.kafka, self._registry, self._directory)
        self._offsets = GroupOffsets(settings.kafka, self.group)
        self._tasks: dict[TP, PartitionTask] = {}
        self._has_tasks = asyncio.Event()
        self._failure: BaseException | None = None
        self._crash: asyncio.Future[None] | None = None
        self._context = TaskContext(
            settings.kafka,
            self._offsets,
            self._registry,
            self._fail,
            options.batch_records,
            self._policies,
            self._learn_policies,
        )
        self.app = self._build_app(options)

    def run(self) -> int:
        """Serve; returns 0 after an orderly stop, 1 where the worker had to give up."""
        self._keys.start()
        logger.info("%d keys loaded.", len(self._directory))
        if self._policy_feed is not None:
            self._policy_feed.start()
        logger.info("The policy is %s.", self._policies.latest.version)
        calm_collector()
        worker = faust.Worker(self.app, loglevel="INFO", logfile=None, override_logging=False, quiet=True)
        try:
            worker.execute_from_commandline()
        except SystemExit as ended:
            if self._failure is not None:
                return 1
            return ended.code if isinstance(ended.code, int) else int(ended.code is not None)

    def _build_app(self, options: WorkerOptions) -> faust.App:
        app = BatchApp(
            self.group,
            datadir=str(options.data_dir),
            store="memory://",
            web_enabled=False,
            topic_disable_leader=True,
            topic_allow_declare=False,
            broker_session_timeout=SESSION_S,
            stream_buffer_maxsize=1,
            stream_wait_empty=False,
        )
        member = MemberOptions(
            self.group,
            [topic.name for topic in self.topics],
            SESSION_S,
            HEARTBEAT_S,
            options.batch_records,
            options.instance,
            options.pass_over,
        )
        app.transport = BatchTransport(app, self._settings.kafka, member, self._fail)
        for topic in self.topics:
            channel = app.topic(topic.name, value_serializer="raw", key_serializer="raw", internal=False)
            app.agent(channel, name=topic.name, supervisor_strategy=mode.CrashingSupervisor)(self._agent)
        app.on_partitions_assigned.connect(cast(Any, self._assigned))
        app.on_partitions_revoked.connect(cast(Any, self._revoked))
        app.on_before_shutdown.connect(cast(Any, self._stopping))
        app.timer(SETTLE_S)(self._settle)
        return app

    async def _agent(self, stream: Any) -> None:
        async for event in stream.events():
            await self._has_tasks.wait()
            message = event.message
            if message.generation_id == self.app.consumer_generation_id:
                await self._tasks[message.tp].take(event.value)

    async def _assigned(self, _app: Any, assigned: set[TP], **_: Any) -> None:
        """Each assignment gets tasks of its own, which begin with what is committed."""
        await self._close_tasks()
        of_a_topic = max(1, sum(tp.topic == self.topics[0].name for tp in assigned))
        most = self._options.batch_records
        share = min(most, max(1, 3 * most // (2 * of_a_topic)))
        self._context = replace(self._context, batch_records=share)
        self._tasks = {tp: self._task(tp) for tp in sorted(assigned)}
        self._has_tasks.set()

    async def _revoked(self, _app: Any, revoked: set[TP], **_: Any) -> None:  # noqa: ARG002 - all are revoked
        """Commit what is under way before another worker may take the partitions."""
        await self._close_tasks()

    async def _stopping(self, _app: Any, **_: Any) -> None:
        """Commit what is under way; the rest of the shutdown has the same few seconds."""
        self._watchdog(STOP_S)
        await self._close_tasks()

    async def _close_tasks(self) -> None:
        """A rebalance must not hang on a broker that does not answer: the group would be stuck with it."""
        self._has_tasks.clear()
        tasks, self._tasks = list(self._tasks.values()), {}
        watchdog = self._watchdog(CLOSE_S)
        try:
            await asyncio.gather(*(task.close() for task in tasks))
        finally:
            watchdog.cancel()

    @staticmethod
    def _watchdog(seconds: float) -> threading.Timer:
        """Ends the process after so long, unless cancelled."""
        timer = threading.Timer(seconds, _give_up, (seconds,))
        timer.daemon = True
        timer.start()
        return timer

    def _learn_policies(self) -> None:
        if self._policy_feed is not None:
            self._policy_feed.catch_up()

    async def _settle(self) -> None:
        try:
            with suppress(UnavailableError):  # tasks that need to know wait for it themselves
                await asyncio.to_thread(self._learn_policies)
            for task in list(self._tasks.values()):
                await task.settle()
        except (SchemaError, UnreadablePolicyError) as error:
            self._fail(error)

    def _task(self, tp: TP) -> PartitionTask:
        context = self._context
        if tp.topic == EVENTS.name:
            at_hand = self._at_hand.slot(is_event=True, partition=tp.partition)
            reader = EventReader(self._registry, wall_clock, at_hand, self._masters())
            stage = EventStage(tp.partition, reader, self._directory, self._policies, wall_clock, at_hand)
            return EventTask(context, tp.partition, stage, self._keys, at_hand)
        at_hand = self._at_hand.slot(is_event=False, partition=tp.partition)
        findings = FindingStage(self._policies, self._directory, wall_clock)
        signals = SignalReader(self._registry, wall_clock, at_hand)
        return FindingTask(context, tp.partition, findings, signals, self._keys, at_hand)

    def _masters(self) -> MasterSource:
        """The master secrets as they are now; where the file cannot be used, events wait."""
        file = MasterFile(self._settings.masters)

        def masters() -> Masters:
            try:
                return file.current()
            except UsageError as error:
                raise UnavailableError(error.message, error.remedy) from error

        return masters

    def _fail(self, error: BaseException) -> None:
        """Stop the worker, in an orderly way where that works out."""
        if self._failure is not None:
            return
        self._failure = error
        logger.error("%s", error)
        self._watchdog(STOP_S)
        self._crash = asyncio.ensure_future(self.app.crash(error))


def _give_up(seconds: float) -> None:
    logger.error(
        "Kafka's client did not let go within %.1f s: the worker ends at once.  The next one goes on from "
        "what is committed.",
        seconds,
    )
    os._exit(1)
