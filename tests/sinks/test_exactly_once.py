"""The sink's bookkeeping against a ClickHouse that loses answers, with sinks that die and come back."""

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from sink_fake import CrashError, FakeClickHouse, FakeKafka, FakeSink, FencedError, NoAnswerError


@settings(max_examples=1_000, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    offsets=st.sets(st.integers(0, 80), min_size=1, max_size=60),
    poison=st.sets(st.integers(0, 80), max_size=4),
    trouble=st.sampled_from([0.0, 0.05, 0.2, 0.5]),
)
def test_every_record_becomes_one_row_or_is_set_aside(
    seed: int, offsets: set[int], poison: set[int], trouble: float
) -> None:
    dice = random.Random(seed)
    clickhouse = FakeClickHouse(dice, frozenset(poison), trouble)
    kafka = FakeKafka(sorted(offsets))
    set_aside: Counter[int] = Counter()

    def new_sink() -> FakeSink:
        return FakeSink(clickhouse, kafka, dice, set_aside)

    sinks = [new_sink(), new_sink()]  # the second takes over at times; the first does not know
    for turn in range(400):
        if turn == 300:
            clickhouse.trouble = 0.0
            sinks = [new_sink()]
        alive = dice.choice(sinks) if dice.random() < 0.2 else sinks[-1]
        try:
            alive.step()
        except (FencedError, NoAnswerError):
            pass
        except CrashError:
            sinks[sinks.index(alive)] = new_sink()
        clickhouse.time_passes()

    stored = Counter(offset for _, offset in clickhouse.rows)
    assert sorted(stored) == sorted(offsets - poison)
    assert set(stored.values()) <= {1}
    assert set(set_aside) == offsets & poison
