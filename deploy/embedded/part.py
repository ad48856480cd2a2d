"""A part of the stack: one process that the supervisor keeps running."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


def _nothing() -> None: ...


def _at_once() -> bool:
    return True


@dataclass(frozen=True)
class Part:
    """`command` runs with the supervisor's environment plus `env`; SIGTERM must stop it within
    `stop_deadline_s`, or it is killed.

    `before_start` runs before each start and may raise `KeytrailError`; `is_ready` is asked again and
    again until it says yes, within `start_deadline_s`, and must answer or give up within a few
    seconds.  Both run in a thread of their own, one call at a time.  `port` is only shown.
    `addresses` go into `stack.json` under these names.
    """

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    before_start: Callable[[], None] = _nothing
    is_ready: Callable[[], bool] = _at_once
    port: int | None = None
    addresses: Mapping[str, str] = field(default_factory=dict)
    start_deadline_s: float = 60
    stop_deadline_s: float = 20


@dataclass(frozen=True)
class Backoff:
    """How long to wait before a crashed part's next start: doubled each time, from `first_s` to `longest_s`.

    A run of `healthy_s` forgets the crashes before it.
    """

    first_s: float = 0.5
    longest_s: float = 30
    healthy_s: float = 60

    def delay_s(self, crashes: int) -> float:
        """The pause after so many crashes in a row (1 is the first)."""
        return min(self.first_s * 2.0 ** min(crashes - 1, 16), self.longest_s)
