"""Python's cyclic garbage collector, set for a process that makes many short-lived objects and few cycles."""

import gc

_YOUNG, _MIDDLE, _OLD = 100_000, 50, 100


def calm_collector() -> None:
    """Look for cycles seldom, and never among what is there now.

    A batch's objects go by their reference counts.  Unasked, the collector looks through all of a batch
    several times while it is being read, which took half of the reading's time (docs/performance.md).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
