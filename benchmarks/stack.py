"""A stack of its own for a benchmark, and parts of the pipeline as processes in it."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from keytrail.deploy.embedded.commands import down, up
from keytrail.deploy.embedded.ports import Ports
from keytrail.deploy.embedded.state import read_parts
from keytrail.schemas.errors import KeytrailError
from keytrail.schemas.settings import Settings, load_settings
from keytrail.schemas.topics import DEFAULT_PARTITIONS, Topic

CLI = "keytrail.cli.main"
_STOP_S = 30.0


@contextmanager
def running_stack(
    workers: int = 0, sinks: int = 0, partitions: int = DEFAULT_PARTITIONS
) -> Iterator[Settings]:
    """Kafka, registry and ClickHouse with topics, schemas and tables, in a folder that goes at the end.

    A SIGTERM stops them too, as Ctrl-C does.  Only for a process's main thread.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="keytrail-bench-") as scratch:
        data_dir = Path(scratch)
        apps = ("--workers", str(workers), "--sinks", str(sinks), "--partitions", str(partitions))
        others = ("--otlp-http-port", "0", "--otlp-grpc-port", "0", "--no-notary")
        command = (sys.executable, "-m", "keytrail.cli.main", "up", *apps, *others)
        if up(data_dir, Ports(0, 0, 0), True, (), lambda _: None, command) != 0:
            raise KeytrailError("The stack did not start.", "The lines above say why.")
        try:
            yield load_settings(data_dir=data_dir)
        finally:
            down(data_dir)


def start(
    settings: Settings, part: str, *flags: str, module: str = "keytrail.cli.main"
) -> subprocess.Popen[bytes]:
    """A part, or a form of it that is the benchmark's own, as a process with a log in the folder."""
    with (settings.data_dir / f"{part}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", module, part, "--data-dir", str(settings.data_dir), *flags],
            stderr=log,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )


def pid_of(settings: Settings, name: str) -> int:
    """The process of a part of the stack."""
    return next(part.pid for part in read_parts(settings.data_dir) if part.name == name)


def subscriber(settings: Settings, topic: Topic) -> Consumer:
    """Reads the topic from its beginning, committed records only, as soon as they are there."""
    consumer = Consumer(
        settings.kafka.reader(
            group_id="keytrail-bench",
            enable_auto_commit=False,
            isolation_level="read_committed",
            fetch_wait_max_ms=10,
        )
    )
    consumer.assign([TopicPartition(topic.name, number, 0) for number in range(DEFAULT_PARTITIONS)])
    return consumer


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends the process, whatever state it is in."""
    process.kill()
    process.wait(_STOP_S)
