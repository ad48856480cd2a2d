"""Roles that a policy describes, with roles and groups within them, and what the rules make of them."""

from itertools import pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import NOON, World, event

from keytrail.schemas.records import Event
from keytrail.stream.policies.duties import Separation
from keytrail.stream.policies.policy import Policy, SeverityShift
from keytrail.stream.policies.role_model import DescribedRole, RoleModel, cycles

_NAMES = "abcdef"
_ROLES = st.lists(
    st.builds(
        DescribedRole,
        st.sampled_from(_NAMES),
        st.lists(st.sampled_from("pqrs"), max_size=2, unique=True).map(tuple),
        st.lists(st.sampled_from(_NAMES), max_size=3, unique=True).map(tuple),
    ),
    max_size=6,
    unique_by=lambda role: role.name,
)

STAFF = (
    DescribedRole("reader", ("invoice.read",)),
    DescribedRole("clerk", ("payment.create",), ("reader",)),
    DescribedRole("checker", ("payment.approve",)),
    DescribedRole("office", (), ("clerk", "checker")),
    DescribedRole("board", ("*",)),
)
DUTIES = Separation(
    "pay", first_permissions=("payment.create",), second_permissions=("payment.approve",), first=("maker",)
)


def grant(role: str, at: int = 0, **fields: object) -> Event:
    return event(action="grant", role=role, occurred_at=NOON + at, recorded_at=NOON + at, **fields)


def found(rule: str, policy: Policy, *events: Event) -> set[str]:
    """Causes of the rule's findings on alice, the same for every order of the events."""
    causes = set()
    for order in permutations(events):
        world = World(policy=policy)
        world.send(*order, batch=1)
        causes.add(frozenset(cause for name, _, cause in world.open_findings() if name == rule))
    [same] = causes
    return set(same)


@given(_ROLES)
def test_a_role_holds_what_can_be_reached_from_it(roles: list[DescribedRole]) -> None:
    model, by_name = RoleModel(roles), {role.name: role for role in roles}
    for name in _NAMES:
        reached = {name}
        for _ in _NAMES:
            reached |= {i for r in reached if r in by_name for i in by_name[r].includes}
        assert model.within(name)[0] == name
        assert sorted(model.within(name)) == sorted(reached)
        described = {p for r in reached if r in by_name for p in by_name[r].permissions}
        assert sorted(model.permissions(name, ("x", "p"))) == sorted({"x", "p"} | described)


@given(_ROLES)
def test_every_way_round_is_one_and_none_is_missed(roles: list[DescribedRole]) -> None:
    by_name = {role.name: role for role in roles}
    ways = cycles(roles)
    for way in ways:
        assert way[0] == way[-1]
        assert all(after in by_name[before].includes for before, after in pairwise(way))
    going_round = {
        name
        for name, role in by_name.items()
        if any(name in RoleModel(roles).within(i) for i in role.includes)
    }
    assert {name for way in ways for name in way} <= going_round
    assert bool(ways) == bool(going_round)


@pytest.mark.parametrize(
    ("roles", "causes"),
    [
        (("office", "reader"), {"reader"}),  # within a role within it
        (("reader", "office"), set()),
        (("clerk", "reader"), {"reader"}),
        (("board", "checker"), {"checker"}),  # all that it gives is covered
        (("clerk", "checker"), set()),
        (("office", "unheard-of"), set()),
    ],
)
def test_what_a_group_gives_already_is_redundant(roles: tuple[str, ...], causes: set[str]) -> None:
    events = [grant(role, at) for at, role in enumerate(roles)]
    assert found("redundant_grant", Policy(roles=STAFF), *events) == causes


def test_what_a_grant_states_and_what_is_described_add_up() -> None:
    extended = grant("reader", 1, permissions=["invoice.archive"])
    assert found("redundant_grant", Policy(roles=STAFF), grant("clerk"), extended) == {"reader"}
    bare = (DescribedRole("clerk", ("payment.create",)), DescribedRole("reader", ("payment.create",)))
    assert found("redundant_grant", Policy(roles=bare), grant("clerk"), extended) == set()


@pytest.mark.parametrize(
    ("grants", "is_toxic"),
    [
        ([grant("clerk"), grant("checker", 1)], True),
        ([grant("office")], True),  # both in one
        ([grant("maker"), grant("checker", 1)], True),  # by name, by permission
        ([grant("clerk"), grant("reader", 1)], False),
        ([grant("x", permissions=["payment.*"])], True),
        ([grant("x", permissions=["payment.create"]), grant("y", 1, permissions=["payment.approve"])], True),
        ([grant("x", permissions=["payment.create", "payment.read"])], False),
        ([grant("board")], False),  # everything
    ],
)
def test_duties_are_kept_apart_by_what_roles_permit(grants: list[Event], is_toxic: bool) -> None:
    policy = Policy(roles=STAFF, separations=(DUTIES,))
    assert found("toxic_combination", policy, *grants) == ({"pay"} if is_toxic else set())


@pytest.mark.parametrize(
    ("within", "environments", "places", "is_toxic"),
    [
        ("anything", ("production",), [("production", "a"), ("production", "b")], True),
        ("anything", ("production",), [("production", "a"), ("staging", "a")], False),
        ("anything", ("production",), [("production", "a"), (None, "a")], True),
        ("anything", ("*",), [("production", "a"), ("staging", "b")], True),
        ("environment", ("*",), [("production", "a"), ("staging", "a")], False),
        ("environment", ("*",), [("staging", "a"), ("staging", "b")], True),
        ("environment", ("*",), [(None, "a"), ("staging", "b")], True),
        ("resource", ("*",), [("production", "a"), ("production", "b")], False),
        ("resource", ("*",), [("production", "a"), ("staging", "a")], True),
        ("resource", ("*",), [("production", None), ("staging", "a")], True),
    ],
)
def test_duties_are_kept_apart_in_an_environment_or_over_a_resource(
    within: str, environments: tuple[str, ...], places: list[tuple[str | None, str | None]], is_toxic: bool
) -> None:
    separation = Separation("pay", ("clerk",), ("checker",), environments=environments, within=within)
    events = [
        grant(role, at, environment=environment, resource=resource)
        for at, (role, (environment, resource)) in enumerate(zip(("clerk", "checker"), places, strict=True))
    ]
    assert found("toxic_combination", Policy(separations=(separation,)), *events) == (
        {"pay"} if is_toxic else set()
    )


def test_the_finding_says_with_what_a_role_gives_a_duty() -> None:
    world = World(policy=Policy(roles=STAFF, separations=(DUTIES,)))
    world.send(grant("office"))
    anomaly = world.current()["toxic_combination", "alice", "pay"]
    assert anomaly.summary == (
        "alice holds office (with payment.create) and office (with payment.approve), which pay keeps apart."
    )
    assert (anomaly.details["roles"], len(anomaly.evidence)) == ("office", 1)
    world.send(event(action="revoke", role="office", occurred_at=NOON + 9, recorded_at=NOON + 9))
    assert world.current()["toxic_combination", "alice", "pay"].status == "resolved"


def test_a_role_is_privileged_by_what_it_permits_or_holds() -> None:
    policy = Policy(
        privileged_roles=("boss",),
        privileged_permissions=("vault.*",),
        roles=(
            DescribedRole("group", (), ("boss",)),
            DescribedRole("boss"),
            DescribedRole("v", ("vault.x",)),
        ),
        severity_shifts=(SeverityShift(-1, privileged=True),),
    )
    world = World(policy=policy)
    world.send(grant("group"), grant("v"), grant("w", permissions=["vault.read"]), grant("plain"))
    privileged = {a.cause: a.severity for a in world.current().values() if a.rule == "privileged_grant"}
    assert privileged == {"group": "high", "v": "high", "w": "high"}


def test_a_described_way_to_more_is_found_as_a_stated_one() -> None:
    roles = (DescribedRole("helper", ("iam:PassRole",)), DescribedRole("crew", (), ("helper",)))
    world = World(policy=Policy(roles=roles))
    world.send(grant("crew"))
    anomaly = world.current()["escalation_path", "alice", "crew"]
    assert anomaly.details["path"] == "passing a role (iam:PassRole)"
