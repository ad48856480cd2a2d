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
    """All losses so far.  Each telling counts from the beginning: the latest makes up for earlier ones.

    Not thread-safe.
    """

    def __init__(self) -> None:
        self._by: dict[tuple[str, str], Loss] = {}
        self._untold: set[tuple[str, str]] = set()
        self.latest: Loss | None = None

    @property
    def untold(self) -> bool:
        return bool(self._untold)

    def add(self, loss: Loss) -> None:
        name = (loss.producer_id, loss.why)
        self.latest = loss
        if (before := self._by.get(name)) is not None:
            first, last = min(before.first, loss.first), max(before.last, loss.last)
            loss = Loss(loss.producer_id, before.count + loss.count, first, last, loss.why)
        self._by[name] = loss
        self._untold.add(name)

    def tell(self) -> list[Loss]:
        """What has changed since the last telling."""
        told = [self._by[name] for name in sorted(self._untold)]
        self._untold.clear()
        return told
