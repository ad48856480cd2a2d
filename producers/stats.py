"""What became of a trail's events, in figures."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TrailStats:
    """A trail's figures: recorded = delivered + waiting + spooled + lost.

    `waiting` is in memory, `spooled` on disk; `oldest_waiting_s` is the age of the oldest event that is not
    delivered.  `spool_bytes` and `left_over_delivered` include what earlier runs left in the spool.
    """

    recorded: int
    delivered: int
    waiting: int
    spooled: int
    lost: int
    oldest_waiting_s: float
    left_over_delivered: int
    spool_bytes: int
