"""A team's figures, against the standard library's."""

import statistics

from hypothesis import given
from hypothesis import strategies as st

from keytrail.schemas.records import Profile
from keytrail.stream.access.peers import Team, Usual, pack_team, unpack_team


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 20)), max_size=60))
def test_the_median_is_that_of_the_members_who_hold_anything(steps: list[tuple[int, int]]) -> None:
    team, roles = Team(), dict[int, int]()
    for member, held in steps:
        team.count(Profile("t", held, roles.get(member, 0), 0, 0))
        roles[member] = held
        holding = [n for n in roles.values() if n]
        median = statistics.median(holding) if holding else 0
        spread = statistics.median(abs(n - median) for n in holding) if holding else 0
        assert team.usual() == Usual(len(holding), median, spread)
        assert unpack_team(pack_team(team)) == team
