"""What a subject holds: bounds of its state, and the forms in which it is stored."""

import json
from itertools import permutations

import pytest
from world import DAY, NOON, event

from keytrail.schemas.records import Event
from keytrail.schemas.topics import MAX_MESSAGE_BYTES
from keytrail.stream.access.access import MAX_ROLES, SubjectAccess
from keytrail.stream.access.access_form import pack, unpack
from keytrail.stream.access.membership import KEPT_TEAMS
from keytrail.stream.access.role import KEPT_TURNS


def grant(role: str, *permissions: str, at: int = 0, **fields: object) -> Event:
    return event(action="grant", role=role, permissions=list(permissions), occurred_at=NOON + at, **fields)


def after(*events: Event) -> SubjectAccess:
    access = SubjectAccess()
    for one in events:
        access.apply(one)
    return access


def seen(team: str, at: int) -> Event:
    return event(occurred_at=NOON + at, attributes={"team": team})


@pytest.mark.parametrize("letter", ["ж", "😀", "\x01", '"'])
def test_names_that_take_many_bytes_do_not_burst_a_record(letter: str) -> None:
    access = SubjectAccess()
    for number in range(MAX_ROLES):
        for turn in range(KEPT_TURNS):
            access.apply(
                grant(f"{letter * 900}{number}", letter * 500, at=turn, attributes={"team": letter * 900})
            )
    access.overdue = access.redundant = access.flapping = set(access.roles)
    packed = pack(access)
    assert len(packed) < MAX_MESSAGE_BYTES
    assert unpack(packed) == access


def test_granting_a_very_large_role_anew_keeps_its_permissions() -> None:
    permissions = [f"permission-{n:020d}" for n in range(15_000)]
    access = after(grant("large", *permissions), grant("large", *permissions, at=1))
    assert len(access.roles["large"].permissions) == len(permissions)


def test_a_state_of_the_second_form_is_still_read() -> None:
    at = [NOON, "00000000-0000-7000-8000-000000000001"]
    roles = {"reader": [1, *at, ["db.read"], 20_000, 20_010]}
    old = [2, roles, "payments", NOON, 20_000, at, ["reader"], "payments", 1, ["trade"], ["reader"]]
    access = unpack(json.dumps(old).encode())
    [(_, role)] = access.held()
    assert (access.team, access.membership.is_stated, role.team) == ("payments", True, "")
    assert (role.permissions, role.last_used_day, role.ends_day) == (("db.read",), 20_000, 20_010)
    assert (access.redundant, access.toxic, access.overdue) == ({"reader"}, {"trade"}, {"reader"})
    assert unpack(pack(access)) == access


@pytest.mark.parametrize(
    "order", list(permutations([seen("a", 0), seen("b", DAY), seen("a", DAY + 1), seen("b", DAY + 2)]))
)
def test_the_team_is_the_one_that_came_last_on_the_latest_day(order: tuple[Event, ...]) -> None:
    access = after(*order)
    assert access.team == "a"
    today = NOON // DAY
    assert access.membership.sights["a"] == (today + 1, NOON + DAY + 1, today)
    assert access.membership.sights["b"] == (today + 1, NOON + DAY, today + 1)


def test_a_service_stands_in_for_a_team_until_one_is_stated() -> None:
    access = after(event(service="iam"), event(service="vault"))
    assert (access.team, access.membership.is_stated) == ("service:iam", False)
    access.apply(seen("payments", -DAY))
    access.apply(event(service="vault", occurred_at=NOON + DAY))
    assert (access.team, access.membership.is_stated) == ("payments", True)


def test_the_teams_seen_last_are_kept() -> None:
    access = after(*(seen(f"team-{n}", n * DAY) for n in range(KEPT_TEAMS + 5)))
    assert list(access.membership.sights) == [f"team-{n}" for n in range(5, KEPT_TEAMS + 5)]
