"""Which faults, in which order: drawn from a seed, the same ones every time."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from proxy import Mode

KILL, PAUSE = "kill -9", "stop"
LONG_PAUSE_S = 30.0
_KINDS = (KILL, KILL, PAUSE, PAUSE, *(mode.value for mode in Mode if mode is not Mode.PASS))
# A long stop now and then: at most one in so many faults.
_LONG_EVERY = 40


@dataclass(frozen=True)
class Fault:
    """`lasts_s` is 0 for a kill.  With `overlaps` the next one does not wait for recovery from this."""

    number: int
    kind: str
    target: str
    lasts_s: float
    gap_s: float
    overlaps: bool

    def __str__(self) -> str:
        lasting = f" for {self.lasts_s:.1f} s" if self.lasts_s else ""
        return f"#{self.number} {self.kind} {self.target}{lasting}{', overlapping' if self.overlaps else ''}"


def draw(count: int, seed: int, parts: Sequence[str], links: Sequence[str]) -> list[Fault]:
    """Every part is killed and stopped, and every link misused, in turn and in random order."""
    dice = Random(seed)
    whom: dict[str, list[str]] = {}

    def next_target(kind: str) -> str:
        if not whom.get(kind):
            whom[kind] = dice.sample(
                parts if kind in (KILL, PAUSE) else links, len(parts if kind in (KILL, PAUSE) else links)
            )
        return whom[kind].pop()

    kinds: list[str] = []
    while len(kinds) < count:
        kinds += dice.sample(_KINDS, len(_KINDS))
    faults = []
    for number, kind in enumerate(kinds[:count], 1):
        lasts = 0.0 if kind == KILL else dice.uniform(0.5, 4.0)
        if (
            kind == PAUSE
            and number % _LONG_EVERY < len(_KINDS)
            and number > _LONG_EVERY
            and dice.random() < 0.5
        ):
            lasts = LONG_PAUSE_S
        faults.append(
            Fault(
                number, kind, next_target(kind), lasts, dice.uniform(0.0, 1.5), overlaps=dice.random() < 0.45
            )
        )
    return faults
