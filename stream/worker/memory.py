"""How Python and the C library take memory, set for a process that makes many short-lived objects."""

import ctypes
import gc
from contextlib import suppress

_YOUNG, _MIDDLE, _OLD = 1_000_000, 10, 100
# M_ARENA_MAX, M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of glibc's <malloc.h>.
_OPTIONS = {-8: 1, -3: 512 * 1024, -1: 8 * 1024 * 1024}


def calm_collector() -> None:
    """Look for cycles seldom, and never among what is there now.

    A batch's objects go by their reference counts.  Unasked, the collector looks through all of a batch
    several times while it is being read, which took half of the reading's time (docs/performance.md).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)


def give_back() -> None:
    """Have glibc keep little of what was freed; call it before threads start.  Nothing with another libc.

    By default each thread keeps an arena of its own, and a worker has dozens of threads, most of them
    librdkafka's; blocks of up to 32 MiB are kept, once such a block was freed.  A worker under load held a
    third more memory so, and was no faster (docs/performance.md).
    """
    with suppress(AttributeError, OSError):
        libc = ctypes.CDLL(None)
        for option, value in _OPTIONS.items():
            libc.mallopt(option, value)
