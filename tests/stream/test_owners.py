"""Who owns which keys."""

from time import process_time

from hypothesis import given
from hypothesis import strategies as st
from world import key

from keytrail.schemas.records import Key
from keytrail.stream.keys.owners import Owners

_IDS, _NAMES = [f"pk_{number}" for number in range(24)], ["erin", "frank"]
_STEPS = st.lists(st.tuples(st.sampled_from(_IDS), st.sampled_from([*_NAMES, None])), max_size=200)


@given(_STEPS)
def test_keys_come_and_go_and_change_hands(steps: list[tuple[str, str | None]]) -> None:
    owners, known = Owners(), dict[str, Key]()
    for key_id, owner in [*((key_id, "erin") for key_id in _IDS), *steps]:
        before = known.pop(key_id, None)
        after = None if owner is None else key(key_id, owner=owner)
        if after is not None:
            known[key_id] = after
        owners.link(before, after)
        for name in _NAMES:
            assert set(owners.keys_of(name)) == {one.key_id for one in known.values() if one.owner == name}
            assert len(owners.keys_of(name)) == len(set(owners.keys_of(name)))


def test_one_who_owns_many_keys_makes_none_of_them_slow() -> None:
    fleet = [key(f"pk_{number}", owner="fleet") for number in range(40_000)]
    owners, began = Owners(), process_time()
    for one in fleet:
        owners.link(None, one)
    for one in fleet:
        owners.link(one, None)
    # Some 0.1 s; where each key copied all others, 20 and more.
    assert process_time() - began < 5
    assert not owners.keys_of("fleet")
