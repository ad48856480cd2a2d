"""ClickHouse's HTTP interface in front of the engine that runs inside this process.

One process owns one data directory and answers on one port as a ClickHouse server does, so that every
client of a server (clickhouse-connect, curl, Grafana, the sink) works with the embedded engine too.
Start at `app`: a request is read by `request` and `body`, understood by `statement`, run by `run`
on a connection of `engine` or `session`, and answered by `respond`.
"""

from keytrail.deploy.embedded.gateway.config import GatewayConfig
from keytrail.deploy.embedded.gateway.server import serve

__all__ = ["GatewayConfig", "serve"]
