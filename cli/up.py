"""`keytrail up`: the embedded stack, with a worker and a sink."""

import argparse
import sys
from functools import partial
from pathlib import Path

from keytrail.cli.prepare import prepare
from keytrail.deploy.embedded.commands import up
from keytrail.deploy.embedded.part import Part
from keytrail.deploy.embedded.ports import Ports
from keytrail.schemas.settings import find_data_dir
from keytrail.sinks.clickhouse.sink import GROUP as SINK_GROUP
from keytrail.stream.worker import GROUP as WORKER_GROUP


def arguments(parser: argparse.ArgumentParser) -> None:
    default = Ports()
    parser.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="where everything is kept (./keytrail-data)"
    )
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
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="stream workers to run (%(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    data_dir = find_data_dir(options.data_dir)
    ports = Ports(options.kafka_port, options.registry_port, options.clickhouse_port)
    command = (sys.executable, "-m", "keytrail.cli.main", "up", "--workers", str(options.workers))
    return up(data_dir, ports, options.detach, applications(data_dir, options.workers), prepare, command)


def applications(data_dir: Path, workers: int) -> list[Part]:
    """The worker and sink processes, ready when their consumer group has them as members."""
    parts = [
        Part(
            f"worker-{number}" if workers > 1 else "worker",
            (*_KEYTRAIL, "worker", "--instance", f"worker-{number}"),
            is_ready=partial(_joined, data_dir, WORKER_GROUP, number),
        )
        for number in range(1, workers + 1)
    ]
    parts.append(Part("sink", (*_KEYTRAIL, "sink"), is_ready=partial(_joined, data_dir, SINK_GROUP, 1)))
    return parts


_KEYTRAIL = (sys.executable, "-m", "keytrail.cli.main")
