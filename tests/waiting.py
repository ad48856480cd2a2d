"""Waiting for a condition: the tests' only way to wait."""

import time
from collections.abc import Callable

DEADLINE_S = 120.0
_POLL_S = 0.03


def wait_until(
    condition: Callable[[], object],
    what: str | Callable[[], str] = "the condition holds",
    deadline_s: float = DEADLINE_S,
) -> None:
    """Returns once the condition is true; fails after the deadline and says what did not come about."""
    deadline = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {deadline_s:.0f} s: {what() if callable(what) else what}")
        time.sleep(_POLL_S)
