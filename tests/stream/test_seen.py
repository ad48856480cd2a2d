"""Event ids that were seen before."""

from hypothesis import given
from hypothesis import strategies as st

from keytrail.stream.stages.seen import SeenIds

BATCHES = st.lists(st.lists(st.integers(0, 60).map(str), max_size=12), max_size=25)


@given(BATCHES)
def test_an_id_is_new_exactly_once(batches: list[list[str]]) -> None:
    seen, known = SeenIds(), set[str]()
    for batch in batches:
        expected = []
        for event_id in batch:
            expected.append(event_id not in known)
            known.add(event_id)
        assert seen.add(batch) == expected


@given(BATCHES, st.integers(0, 25))
def test_what_was_seen_survives_a_restart(batches: list[list[str]], restart: int) -> None:
    seen, straight = SeenIds(window=40), SeenIds(window=40)
    changelog = []
    for number, batch in enumerate(batches):
        if number == restart:
            seen = SeenIds(window=40)
            for change in changelog:
                seen.restore(change.key, change.value)
        assert seen.add(batch) == straight.add(batch)
        changelog += seen.take_changes()
        straight.take_changes()


@given(st.integers(8, 60), st.integers(1, 400))
def test_the_window_bounds_what_is_kept(window: int, count: int) -> None:
    seen = SeenIds(window)
    for number in range(count):
        seen.add([str(number)])
    assert len(seen) <= window
    kept = min(count, max(1, window * 3 // 4 - window // 8 - 1))
    assert not any(seen.add([str(count - 1 - i) for i in range(kept)]))
