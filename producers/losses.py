"""Events that will not arrive: counted by run and reason, so that the loss itself can be told."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Loss:
    """`count` events of a run are lost, of the numbers from `first` to `last`."""

    producer_id: str
    count: int
    first: int
    last: int
    why: str


class Losses:
    """Losses that were not yet told.  Not thread-safe."""

    def __init__(self) -> None:
        self._by: dict[tuple[str, str], Loss] = {}
        self._latest: Loss | None = None

    def __bool__(self) -> bool:
        return bool(self._by)

    def add(self, loss: Loss) -> None:
        name = (loss.producer_id, loss.why)
        if (before := self._by.get(name)) is not None:
            first, last = min(before.first, loss.first), max(before.last, loss.last)
            loss = Loss(loss.producer_id, before.count + loss.count, first, last, loss.why)
        self._by[name] = self._latest = loss

    @property
    def latest(self) -> Loss | None:
        return self._latest

    def take(self) -> list[Loss]:
        taken = list(self._by.values())
        self._by.clear()
        return taken
