"""The stack's TCP ports on loopback."""

import os
import secrets
import socket
from dataclasses import dataclass

from keytrail.schemas.errors import UsageError

HOST = "127.0.0.1"
_HIGHEST = 65_535
# Below the range that systems take outgoing connections' ports from: such a connection could
# otherwise have the port by the time that a server comes to it.
_CHOSEN_FROM = range(20_000, 32_000)
_TRIES = 200
_given_out: set[int] = set()


@dataclass(frozen=True)
class Ports:
    """The port of each engine; 0 has a free one chosen."""

    kafka: int = 9092
    registry: int = 8081
    clickhouse: int = 8123


def free_port() -> int:
    """A random port that nothing listens on now, and never one that this process was given before.

    Another program may take it before it is used.  Raises `UsageError` where none is found.
    """
    for _ in range(_TRIES):
        port = secrets.choice(_CHOSEN_FROM)
        if port not in _given_out and _why_unusable(port) is None:
            _given_out.add(port)
            return port
    raise UsageError("No free port was found.", "Choose the ports with --kafka-port and its like.")


def claim(port: int, part: str, flag: str) -> int:
    """`port` if it is free, a free one if it is 0.

    Raises `UsageError`, which names the part, the port and the `flag` that chooses another.
    """
    if port == 0:
        return free_port()
    if not 0 < port <= _HIGHEST:
        raise UsageError(f"{flag} {port} is not a port.", f"Give 1 to {_HIGHEST}, or 0 for any free one.")
    if reason := _why_unusable(port):
        raise UsageError(
            f"Port {port}, for {part}, cannot be used: {reason}.",
            f"Stop the program that holds it, or choose another with {flag} PORT (0: any free one).",
        )
    _given_out.add(port)
    return port


def is_free(port: int) -> bool:
    return _why_unusable(port) is None


def _why_unusable(port: int) -> str | None:
    with socket.socket() as probe:
        # As servers do: an old connection's remains are no reason to refuse.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return os.strerror(error.errno or 0).lower()
    return None
