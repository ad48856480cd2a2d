"""What a run tells: its faults by kind, how many records, how soon things went on."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from scheduler import Happened

_TAIL_LINES = 8


def recovery_lines(happened: Sequence[Happened]) -> Iterator[str]:
    """Faults by kind, then recovery times: of all, and by what happened to which part."""
    kinds = Counter(one.fault.kind for one in happened)
    yield f"{len(happened)} faults: {', '.join(f'{count} {kind}' for kind, count in kinds.most_common())}"
    times: dict[str, list[float]] = defaultdict(list)
    for one in happened:
        if one.recovery.after_s is not None:
            for name in ("all", f"{one.fault.kind} {one.fault.target}"):
                times[name].append(one.recovery.after_s)
    for name, some in sorted(times.items()):
        middle, worst = statistics.median(some), max(some)
        yield f"  recovery, {name}: median {middle:.1f} s, worst {worst:.1f} s, {len(some)} times"


def log_tails(logs: Path) -> Iterator[str]:
    """The last lines of each part's log."""
    for path in sorted(logs.glob("*.log")):
        for line in path.read_text(errors="replace").splitlines()[-_TAIL_LINES:]:
            yield f"{path.name}: {line}"
