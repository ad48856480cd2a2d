"""`python -m keytrail.deploy.embedded.registry`: serves the registry until SIGTERM or SIGINT."""

import argparse
import sys

import uvicorn

from keytrail.deploy.embedded.registry.compatibility import Level
from keytrail.deploy.embedded.registry.http import create_app
from keytrail.deploy.embedded.registry.service import Registry
from keytrail.schemas.errors import KeytrailError
from keytrail.schemas.settings import KafkaSettings, kafka_properties


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m keytrail.deploy.embedded.registry", description=__doc__)
    parser.add_argument("--kafka", required=True, metavar="HOST:PORT", help="Kafka's bootstrap servers")
    parser.add_argument(
        "--topic",
        default="_schemas",
        help="where the schemas are kept, by one registry (default: %(default)s)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8081, help="port to listen on (default: %(default)s)")
    parser.add_argument(
        "--compatibility",
        type=lambda text: Level(text.upper()),
        choices=list(Level),
        default=Level.FULL_TRANSITIVE,
        help="level of subjects that have none of their own (default: %(default)s)",
    )
    flags = parser.parse_args()
    client = KafkaSettings(flags.kafka, kafka_properties()).client()
    try:
        registry = Registry(client, flags.topic, flags.compatibility)
    except KeytrailError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    uvicorn.run(
        create_app(registry),
        host=flags.host,
        port=flags.port,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=5,
    )
    registry.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
