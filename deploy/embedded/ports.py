"""The stack's TCP ports on loopback."""

import os
import socket
from dataclasses import dataclass

from keytrail.schemas.errors import UsageError

HOST = "127.0.0.1"
_HIGHEST = 65_535


@dataclass(frozen=True)
class Ports:
    """The port of each engine; 0 has a free one chosen."""

    kafka: int = 9092
    registry: int = 8081
    clickhouse: int = 8123


def free_port() -> int:
    """A port that nothing listens on now.  Another program may take it before it is used."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def claim(port: int, part: str, flag: str) -> int:
    """`port` if it is free, a free one if it is 0.

    Raises `UsageError`, which names the part, the port and the `flag` that chooses another.
    """
    if port == 0:
        return free_port()
    if not 0 < port <= _HIGHEST:
        raise UsageError(f"{flag} {port} is not a port.", f"Give 1 to {_HIGHEST}, or 0 for any free one.")
    with socket.socket() as probe:
        # As servers do: an old connection's remains are no reason to refuse.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UsageError(
                f"Port {port}, for {part}, cannot be used: {os.strerror(error.errno or 0).lower()}.",
                f"Stop the program that holds it, or choose another with {flag} PORT (0: any free one).",
            ) from error
    return port
