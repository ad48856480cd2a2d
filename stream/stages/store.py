"""State by key, packed, with the changes since the last commit.

Values rest as bytes, so that a million small states fit in memory; those in use are kept as
objects until the next commit.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True)
class StateChange:
    """What the changelog is told: the value of a key now, or None where it is gone."""

    key: bytes
    value: bytes | None


class StateStore(Generic[Value]):
    """Not thread-safe.  A value that was changed in place must be `put` again to be remembered."""

    def __init__(
        self,
        prefix: str,
        pack: Callable[[Value], bytes],
        unpack: Callable[[bytes], Value],
        live: int = 4_000,
    ) -> None:
        """`prefix` keeps the stores of one changelog apart; `live` bounds the values kept unpacked."""
        self.prefix = f"{prefix}/".encode()
        self._pack = pack
        self._unpack = unpack
        self._limit = live
        self._packed: dict[str, bytes] = {}
        self._live: dict[str, Value] = {}
        self._changed: set[str] = set()

    def get(self, key: str) -> Value | None:
        if (value := self._live.get(key)) is not None:
            return value
        if (packed := self._packed.get(key)) is None:
            return None
        value = self._live[key] = self._unpack(packed)
        return value

    def peek(self, key: str) -> Value | None:
        """As `get`, for one look: the value is not kept unpacked, and not to be changed."""
        if (value := self._live.get(key)) is not None:
            return value
        packed = self._packed.get(key)
        return None if packed is None else self._unpack(packed)

    def put(self, key: str, value: Value) -> None:
        self._live[key] = value
        self._changed.add(key)

    def remove(self, key: str) -> None:
        """The changelog is told that the key is gone."""
        self._live.pop(key, None)
        self._packed.pop(key, None)
        self._changed.add(key)

    def __iter__(self) -> Iterator[str]:
        """The keys of all values there are."""
        return iter(self._packed.keys() | self._live.keys())

    def take_changes(self) -> list[StateChange]:
        """The changes since the last call, one a key, for the changelog."""
        changes = []
        for key in self._changed:
            value = self._live.get(key)
            packed = None if value is None else self._pack(value)
            if packed is not None:
                self._packed[key] = packed
            changes.append(StateChange(self.prefix + key.encode(), packed))
        self._changed.clear()
        if len(self._live) > self._limit:
            self._live.clear()
        return changes

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take a record of the changelog, in its order."""
        name = key.removeprefix(self.prefix).decode()
        if value is None:
            self._packed.pop(name, None)
        else:
            self._packed[name] = value


class Store(Protocol):
    """What `KeepsState` asks of a store."""

    @property
    def prefix(self) -> bytes: ...
    def restore(self, key: bytes, value: bytes | None) -> None: ...
    def take_changes(self) -> list[StateChange]: ...


class KeepsState:
    """Base of what keeps its state in several stores of one changelog.  Not thread-safe."""

    def __init__(self, *stores: Store) -> None:
        self._stores = stores

    def keeps(self, key: bytes) -> bool:
        """True for a record of the changelog that is one of these stores'."""
        return any(key.startswith(store.prefix) for store in self._stores)

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take a record of the changelog, in its order."""
        for store in self._stores:
            if key.startswith(store.prefix):
                store.restore(key, value)

    def take_changes(self) -> list[StateChange]:
        """The changes of all since the last call."""
        return [change for store in self._stores for change in store.take_changes()]
