"""`keytrail up`: the embedded stack, with worker, sink, notary, OTLP receiver and perhaps a webhook."""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from keytrail.cli import webhook
from keytrail.cli.options import policy_flag
from keytrail.cli.otlp_part import otlp_arguments, otlp_flags, otlp_parts
from keytrail.cli.prepare import prepare
from keytrail.deploy.embedded.commands import up
from keytrail.deploy.embedded.part import Part
from keytrail.deploy.embedded.ports import Ports
from keytrail.deploy.groups import GroupMembers
from keytrail.schemas.masters import MasterFile
from keytrail.schemas.readers import READERS_FILE, ReaderFile
from keytrail.schemas.settings import Settings, find_data_dir, find_policy_file
from keytrail.schemas.topics import DEFAULT_PARTITIONS, SINK_GROUP, WORKER_GROUP
from keytrail.sinks.proof.keyring import KeyringFile
from keytrail.stream.policies.file import read_policy

_KEYTRAIL = (sys.executable, "-m", "keytrail.cli.main")


def arguments(parser: argparse.ArgumentParser) -> None:
    default = Ports()
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where all is kept (./keytrail-data)")
    parser.add_argument(
        "--detach", action="store_true", help="return once it is ready; `keytrail down` stops it"
    )
    for name in ("kafka", "registry", "clickhouse"):
        parser.add_argument(
            f"--{name}-port",
            type=int,
            default=getattr(default, name),
            metavar="PORT",
            help="%(default)s; 0 takes a free one",
        )
    otlp_arguments(parser)
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="stream workers (%(default)s)")
    parser.add_argument("--sinks", type=int, default=1, metavar="N", help="ClickHouse sinks (%(default)s)")
    parser.add_argument(
        "--partitions",
        type=int,
        default=DEFAULT_PARTITIONS,
        metavar="N",
        help="partitions of topics that are not there yet (%(default)s)",
    )
    parser.add_argument(
        "--no-notary", action="store_true", help="sign no checkpoints: nothing proves the rows untouched"
    )
    policy_flag(parser)


def run(options: argparse.Namespace) -> int:
    policy = find_policy_file(options.policy)
    if policy is not None:
        read_policy(policy)  # says what is wrong before anything starts
    applications = Applications(
        options.workers, options.sinks, options.partitions, policy, notary=not options.no_notary
    )
    return up(
        find_data_dir(options.data_dir),
        Ports(options.kafka_port, options.registry_port, options.clickhouse_port),
        options.detach,
        # Detached, it is the other process that has the parts, and says where one is missing.
        ()
        if options.detach
        else (
            *applications.parts(),
            *otlp_parts(options, _KEYTRAIL),
            *_reader_parts(find_data_dir(options.data_dir)),
            *([Part("webhook", (*_KEYTRAIL, "webhook"))] if webhook.is_configured() else []),
        ),
        applications.prepare,
        (
            *(*_KEYTRAIL, "up", "--workers", str(options.workers), "--sinks", str(options.sinks)),
            *("--partitions", str(options.partitions)),
            *_policy_flags(policy),
            *(["--no-notary"] if options.no_notary else []),
            *otlp_flags(options),
        ),
    )


class Applications:
    """The workers and sinks, each ready once its consumer group has it as a member, and the notary."""

    def __init__(
        self, workers: int, sinks: int, partitions: int, policy: Path | None = None, *, notary: bool = True
    ) -> None:
        self._workers = workers
        self._sinks = sinks
        self._partitions = partitions
        self._policy = policy
        self._notary = notary
        self._groups: GroupMembers | None = None

    def prepare(self, settings: Settings) -> None:
        """Runs once the engines are ready, before any of `parts` starts."""
        prepare(settings, self._partitions)
        masters = MasterFile(settings.masters)
        if not masters.path.exists():
            masters.add()
        keys = KeyringFile(settings.checkpoint_keys)
        if self._notary and not keys.path.exists():
            keys.rotate(time.time_ns() // 1000)
        groups = GroupMembers(settings.kafka)
        for group in (WORKER_GROUP, SINK_GROUP):
            groups.leave_out_present(group)
        self._groups = groups

    def parts(self) -> list[Part]:
        return [
            *self._members("worker", self._workers, WORKER_GROUP, _policy_flags(self._policy)),
            *self._members("sink", self._sinks, SINK_GROUP),
            *([Part("notary", (*_KEYTRAIL, "notary"))] if self._notary else []),
        ]

    def _members(self, command: str, count: int, group: str, flags: Sequence[str] = ()) -> list[Part]:
        names = [command] if count == 1 else [f"{command}-{number}" for number in range(1, count + 1)]
        called = (*_KEYTRAIL, command, *flags)
        return [
            Part(name, (*called, "--instance", name), is_ready=self._joined(group, number))
            for number, name in enumerate(names, 1)
        ]

    def _joined(self, group: str, members: int) -> Callable[[], bool]:
        return lambda: self._groups is not None and self._groups.have_joined(group, members)


def _reader_parts(data_dir: Path) -> list[Part]:
    """What readers ask becomes events, where there are readers."""
    if not ReaderFile(data_dir / READERS_FILE).current():
        return []
    return [Part("readers", (*_KEYTRAIL, "readers", "forward"))]


def _policy_flags(policy: Path | None) -> list[str]:
    return [] if policy is None else ["--policy", str(policy)]
