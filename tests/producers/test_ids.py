import threading
import uuid

from hypothesis import given
from hypothesis import strategies as st

from keytrail.producers.ids import UuidV7

MS = 1_000_000


def test_an_id_is_a_version_7_uuid_that_holds_its_time() -> None:
    made = uuid.UUID(UuidV7(clock_ns=lambda: 1_752_000_000_123 * MS + 500_000)())

    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert made.int >> 80 == 1_752_000_000_123
    assert made.int >> 64 & 0xFFF == 0x800  # half a millisecond


@given(st.lists(st.integers(0, 1 << 62), min_size=1, max_size=50), st.integers(0, (1 << 62) - 1))
def test_ids_increase_whatever_the_clock_does(times: list[int], random: int) -> None:
    clock = iter(times)
    new_id = UuidV7(clock_ns=lambda: next(clock), random_bits=lambda _bits: random)

    made = [new_id() for _ in times]

    assert made == sorted(set(made))


def test_threads_share_one_source_without_a_duplicate() -> None:
    new_id = UuidV7()
    made: list[list[str]] = [[] for _ in range(4)]

    def make(into: list[str]) -> None:
        into.extend(new_id() for _ in range(5_000))

    threads = [threading.Thread(target=make, args=(into,)) for into in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({text for ids in made for text in ids}) == 20_000
    assert all(ids == sorted(ids) for ids in made)
