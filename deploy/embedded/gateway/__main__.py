"""`python -m keytrail.deploy.embedded.gateway --data-dir DIR --port N`: the embedded ClickHouse."""

import argparse
import logging
import os
import sys
from pathlib import Path

from keytrail.deploy.embedded.gateway.config import MIB, PASSWORD_VARIABLE, GatewayConfig
from keytrail.deploy.embedded.gateway.server import serve
from keytrail.schemas.errors import KeytrailError, UsageError
from keytrail.schemas.readers import READERS_FILE


def main(arguments: list[str] | None = None) -> int:
    """Serves until a signal; 0 after a wanted end, 1 where it could not serve, 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m keytrail.deploy.embedded.gateway", description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, metavar="DIR")
    parser.add_argument("--port", type=int, required=True, metavar="N", help="0 for any free port")
    parser.add_argument("--host", default="127.0.0.1", metavar="H")
    parser.add_argument(
        "--user", default="", metavar="U", help=f"ask for this user; its password is in {PASSWORD_VARIABLE}"
    )
    parser.add_argument("--readers", type=Path, metavar="FILE", help="who may only read (DIR/readers.json)")
    parser.add_argument("--database", default="keytrail", metavar="NAME", help="the one that readers see")
    parser.add_argument("--max-body-mib", type=int, default=512, metavar="N")
    parser.add_argument(
        "--drain-seconds",
        type=int,
        default=20,
        metavar="N",
        help="how long running statements may go on at the end",
    )
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    given = parser.parse_args(arguments)
    _set_up_logging(given.log_level.upper())
    try:
        serve(
            GatewayConfig(
                data_dir=given.data_dir,
                port=given.port,
                host=given.host,
                user=given.user,
                password=os.environ.get(PASSWORD_VARIABLE, ""),
                max_body_bytes=given.max_body_mib * MIB,
                drain_timeout_s=given.drain_seconds,
                reader_file=given.readers or given.data_dir / READERS_FILE,
                database=given.database,
            )
        )
    except KeytrailError as error:
        sys.stderr.write(f"{error}\n")
        return 2 if isinstance(error, UsageError) else 1
    return 0


def _set_up_logging(level: str) -> None:
    form = "%(asctime)s %(levelname)s %(name)s %(message)s"
    logging.basicConfig(stream=sys.stderr, level=level, format=form)
    # These tell of their own starting and stopping.
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    # An answer that failed too late for its status is left without its end on purpose.
    logging.getLogger("uvicorn.error").addFilter(
        lambda record: "without completing response" not in record.getMessage()
    )


if __name__ == "__main__":
    sys.exit(main())
