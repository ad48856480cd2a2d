"""The rules over what a subject holds: redundant grants and role sprawl."""

import json
from collections.abc import Iterator
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world import DAY, NOON, SECOND, World, event

from keytrail.schemas.records import Event
from keytrail.schemas.topics import MAX_MESSAGE_BYTES
from keytrail.stream.access.access import MAX_ROLES
from keytrail.stream.access.access_form import pack, unpack

TEAM = {"team": "platform"}


def grant(subject: str, role: str, *permissions: str, at: int = NOON - DAY, **fields: object) -> Event:
    return event(
        action="grant",
        subject=subject,
        role=role,
        permissions=list(permissions),
        occurred_at=at,
        reason="asked",
        attributes=TEAM,
        **fields,
    )


def revoke(subject: str, role: str, at: int = NOON) -> Event:
    return event(action="revoke", subject=subject, role=role, occurred_at=at, reason="done", attributes=TEAM)


def peers(count: int = 6, roles: int = 3) -> Iterator[Event]:
    for member in range(count):
        for role in range(roles):
            yield grant(f"peer-{member}", f"base-{role}", at=NOON - 40 * DAY)


def status(world: World, rule: str, entity: str) -> str | None:
    return next((a.status for (r, e, _), a in world.current().items() if (r, e) == (rule, entity)), None)


def test_a_subject_that_gathers_roles_far_beyond_its_peers_sprawls() -> None:
    world = World()
    world.send(*peers(), *(grant("alice", f"r{i}", at=NOON - DAY + i) for i in range(7)))
    assert status(world, "role_sprawl", "alice") is None, "seven are below the least that counts"
    world.send(grant("alice", "r7"))
    [anomaly] = [a for a in world.current().values() if a.rule == "role_sprawl"]
    assert (anomaly.entity, anomaly.cause, anomaly.count, anomaly.status) == ("alice", "platform", 8, "open")
    figures = {"roles": "8", "unused": "8", "grown": "8"}
    assert anomaly.details == {**figures, "peers_median": "3", "peers_spread": "0", "peers": "7"}


def test_many_roles_are_no_sprawl_where_they_are_usual_or_used_and_slowly_gathered() -> None:
    usual = World()
    usual.send(*peers(roles=5), *(grant("alice", f"r{i}") for i in range(9)))
    assert status(usual, "role_sprawl", "alice") is None

    used = World()
    used.send(*peers(), *(grant("alice", f"r{i}", at=NOON - 200 * DAY + i * 20 * DAY) for i in range(9)))
    used.send(*(event(role=f"r{i}", attributes=TEAM, occurred_at=NOON - DAY) for i in range(9)))
    assert status(used, "role_sprawl", "alice") == "resolved", "until the roles were used, it was one"


def test_where_members_differ_widely_many_roles_are_nothing_unusual() -> None:
    world = World()
    for member, roles in enumerate((2, 2, 4, 4, 6, 7)):
        world.send(*(grant(f"peer-{member}", f"base-{n}", at=NOON - 40 * DAY) for n in range(roles)))
    # The median is 4 and the median distance from it 2: three deviations lie at 12.9.
    world.send(*(grant("alice", f"r{n}") for n in range(12)))
    assert status(world, "role_sprawl", "alice") is None
    world.send(grant("alice", "r12"))
    assert status(world, "role_sprawl", "alice") == "open"
    world.send(*(grant(f"late-{n}", f"base-{r}", at=NOON - 40 * DAY) for n in range(6) for r in range(9)))
    assert status(world, "role_sprawl", "alice") == "resolved", "the team has changed around her"


def test_a_small_team_says_nothing_about_what_is_usual() -> None:
    world = World()
    world.send(*(grant("alice", f"r{i}") for i in range(14)))
    assert status(world, "role_sprawl", "alice") is None
    world.send(grant("alice", "r14"))
    assert status(world, "role_sprawl", "alice") == "open"


def test_sprawl_resolves_when_roles_go_and_opens_again() -> None:
    world = World()
    world.send(*peers(), *(grant("alice", f"r{i}") for i in range(9)))
    world.send(revoke("alice", "r0"), revoke("alice", "r1"))
    assert status(world, "role_sprawl", "alice") == "resolved"
    world.send(grant("alice", "r0", at=NOON + 1), grant("alice", "r1", at=NOON + 1))
    assert status(world, "role_sprawl", "alice") == "open"


def test_sprawl_resolves_when_the_subject_moves_or_is_deleted() -> None:
    moved = World()
    moved.send(*peers(), *(grant("alice", f"r{i}") for i in range(9)))
    moved.send(event(occurred_at=NOON, attributes={"team": "sales"}))
    assert status(moved, "role_sprawl", "alice") == "resolved"

    deleted = World()
    deleted.send(*peers(), *(grant("alice", f"r{i}") for i in range(9)))
    deleted.send(event(action="delete", occurred_at=NOON, attributes=TEAM))
    assert status(deleted, "role_sprawl", "alice") == "resolved"


def test_peers_that_catch_up_end_the_sprawl() -> None:
    world = World()
    world.send(*peers(), *(grant("alice", f"r{i}") for i in range(8)))
    assert status(world, "role_sprawl", "alice") == "open"
    world.send(*(grant(f"peer-{m}", f"extra-{r}") for m in range(6) for r in range(3)))
    assert status(world, "role_sprawl", "alice") == "resolved"


def test_a_role_that_adds_nothing_is_redundant_until_it_does() -> None:
    world = World()
    world.send(grant("alice", "editor", "db:read", "db:write", at=NOON - 3))
    world.send(grant("alice", "reader", "db:read", at=NOON - 2))
    assert status(world, "redundant_grant", "alice") == "open"
    world.send(revoke("alice", "editor", at=NOON - 1))
    assert status(world, "redundant_grant", "alice") == "resolved"


@pytest.mark.parametrize(
    ("first", "second", "redundant"),
    [
        (["db:*"], ["db:read"], True),
        (["db:read"], ["db:read", "db:write"], False),
        (["db:read"], ["db:*"], False),
        (["db:read"], [], False),
        ([], ["db:read"], False),
    ],
)
def test_permissions_cover_each_other(first: list[str], second: list[str], redundant: bool) -> None:
    world = World()
    world.send(grant("alice", "one", *first, at=NOON - 2), grant("alice", "two", *second, at=NOON - 1))
    assert (status(world, "redundant_grant", "alice") == "open") is redundant


ROLES = st.sampled_from([f"r{i}" for i in range(12)])
SUBJECTS = st.sampled_from(["alice", "bob", "carol", "dave", "erin", "frank"])


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    steps = draw(st.lists(st.tuples(SUBJECTS, ROLES, st.sampled_from("GGGGGRU")), min_size=1, max_size=120))
    out = []
    for i, (subject, role, kind) in enumerate(steps):
        at = NOON - DAY + i * SECOND
        if kind == "G":
            out.append(grant(subject, role, f"p:{role}", "p:r1", at=at))
        elif kind == "R":
            out.append(revoke(subject, role, at=at))
        else:
            out.append(event(subject=subject, role=role, occurred_at=at, attributes=TEAM, key_id="AKIA"))
    return out


@settings(max_examples=60, deadline=None)
@given(histories())
def test_the_size_of_batches_changes_nothing_about_the_findings(history: list[Event]) -> None:
    one, seventeen, all_at_once = World(), World(), World()
    one.send(*history, batch=1)
    seventeen.send(*history, batch=17)
    all_at_once.send(*history, batch=5000)

    def open_now(world: World) -> set[tuple[str, str, str, str]]:
        return {
            (*name, "resolved" if a.status == "resolved" else "open") for name, a in world.current().items()
        }

    def counted(world: World) -> dict[tuple[str, str, str], tuple[int, tuple[str, ...]]]:
        return {
            name: (a.count, tuple(a.evidence))
            for name, a in world.current().items()
            if a.status != "resolved"
        }

    assert counted(one) == counted(seventeen) == counted(all_at_once)
    still = {name for name in open_now(one) if name[-1] == "open"}
    assert still == {name for name in open_now(all_at_once) if name[-1] == "open"}


@settings(max_examples=40, deadline=None)
@given(histories(), st.integers(0, 119))
def test_a_restart_in_the_middle_changes_nothing_about_the_findings(history: list[Event], at: int) -> None:
    straight = World()
    straight.send(*history, batch=10)

    before, after = World(), World()
    before.send(*history[:at], batch=10)
    for name, value in before.changelog:
        after.events.restore(name, value)
    for name, value in before.finding_changelog:
        after.findings.restore(name, value)
    after.anomalies = list(before.anomalies)
    after.send(*history[at:], batch=10)
    assert {n: (a.status == "resolved", a.count, a.evidence) for n, a in after.current().items()} == {
        n: (a.status == "resolved", a.count, a.evidence) for n, a in straight.current().items()
    }


def test_what_was_held_for_a_moment_within_one_batch_is_still_reported() -> None:
    world = World()
    world.send(
        grant("alice", "editor", "db:read", "db:write", at=NOON - 3),
        grant("alice", "reader", "db:read", at=NOON - 2),
        revoke("alice", "reader", at=NOON - 1),
    )
    assert status(world, "redundant_grant", "alice") == "resolved"


def test_the_state_of_a_subject_is_bounded() -> None:
    world = World()
    world.send(*(grant("alice", f"r{i}", at=NOON - DAY + i) for i in range(MAX_ROLES + 50)))
    [held] = [a.details["roles"] for a in world.current().values() if a.rule == "role_sprawl"]
    assert held == str(MAX_ROLES)


def test_a_team_that_shrinks_below_the_least_says_nothing_any_more() -> None:
    world = World()
    world.send(*peers(count=4), *(grant("alice", f"r{i}") for i in range(9)))
    assert status(world, "role_sprawl", "alice") == "open"
    world.send(*(revoke("peer-0", f"base-{role}") for role in range(3)))
    assert status(world, "role_sprawl", "alice") == "resolved"


ONE = grant("alice", "one", "p:a", "p:b", at=NOON - 40)
TWO = grant("alice", "two", "p:a", at=NOON - 30)
GONE = revoke("alice", "one", at=NOON - 20)
LEFT = event(action="delete", subject="alice", occurred_at=NOON - 10, attributes=TEAM)


@pytest.mark.parametrize("order", list(permutations((ONE, TWO, GONE, LEFT))))
def test_what_is_held_in_the_end_does_not_depend_on_the_order_of_arrival(order: tuple[Event, ...]) -> None:
    world = World()
    world.send(*order, batch=1)
    [(_, access)] = [(name, found) for name, found in held(world).items() if name == "alice"]
    assert access == {"one": False, "two": False}
    assert {a.status for a in world.current().values()} <= {"resolved"}


@pytest.mark.parametrize("order", list(permutations((ONE, TWO, GONE))))
def test_a_late_revoke_or_grant_ends_in_the_same_findings(order: tuple[Event, ...]) -> None:
    world = World()
    world.send(*order, batch=1)
    assert held(world)["alice"] == {"one": False, "two": True}
    assert status(world, "redundant_grant", "alice") in (None, "resolved")


def held(world: World) -> dict[str, dict[str, bool]]:
    """What the changelog says each subject holds."""
    latest = {key: value for key, value in world.changelog if key.startswith(b"subject/")}
    return {
        key.removeprefix(b"subject/").decode(): {n: r.held for n, r in unpack(value).roles.items()}
        for key, value in latest.items()
        if value is not None
    }


def test_a_subjects_state_fits_a_record_however_large_its_grants() -> None:
    world = World()
    permissions = [f"permission-{i:020d}" for i in range(14_000)]
    world.send(*(grant("alice", f"r{i}", *permissions, at=NOON - DAY + i) for i in range(10)), batch=1)
    assert max(len(value or b"") for _, value in world.changelog) < MAX_MESSAGE_BYTES // 2
    assert held(world)["alice"] == {f"r{i}": True for i in range(10)}


def test_a_state_of_the_first_form_is_still_read() -> None:
    at = [NOON, "00000000-0000-7000-8000-000000000001"]
    old = [1, {"reader": [1, *at, ["db.read"], -1]}, "payments", NOON, 20_000, None, [], "payments", 1]
    access = unpack(json.dumps(old).encode())
    [(name, role)] = access.held()
    assert (name, role.permissions, role.ends_day, access.toxic, access.overdue) == (
        *("reader", ("db.read",), -1),
        *(set(), set()),
    )
    assert unpack(pack(access)) == access
