"""`keytrail up` without the rest of keytrail: run as a program, with apps given as JSON.

`--apps '[["name", "python code"], ...]'` are parts that run that code; `--prepare CODE` runs in between.
"""

import argparse
import json
import sys
from pathlib import Path

from keytrail.deploy.embedded.commands import up
from keytrail.deploy.embedded.part import Part
from keytrail.deploy.embedded.ports import Ports
from keytrail.schemas.errors import KeytrailError


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--kafka-port", type=int, default=0)
    parser.add_argument("--registry-port", type=int, default=0)
    parser.add_argument("--clickhouse-port", type=int, default=0)
    parser.add_argument("--detach", action="store_true")
    parser.add_argument("--apps", default="[]")
    parser.add_argument("--prepare", default="")
    flags = parser.parse_args()
    apps = [
        Part(name, (sys.executable, "-c", code), stop_deadline_s=2) for name, code in json.loads(flags.apps)
    ]
    ports = Ports(flags.kafka_port, flags.registry_port, flags.clickhouse_port)
    again = (sys.executable, __file__, "--apps", flags.apps, "--prepare", flags.prepare)
    try:
        return up(
            flags.data_dir,
            ports,
            flags.detach,
            apps,
            lambda settings: exec(flags.prepare, {"settings": settings}),  # noqa: S102 - the test's own
            again,
        )
    except KeytrailError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
