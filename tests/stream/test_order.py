"""Events of one entity, permuted: in whichever order they arrive, the same findings are open in the end."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from world import DAY, NOON, SECOND, World, event, key

from keytrail.schemas.records import Event
from keytrail.stream.policies.duties import Separation
from keytrail.stream.policies.policy import Policy

POLICY = Policy(separations=(Separation("trade", ("*buyer",), ("*payer",)),))
ROLES = {
    "eu-buyer": ["trade.buy"],
    "eu-payer": ["trade.pay"],
    "trader": ["trade.buy", "trade.pay"],
    "helper": ["iam:PassRole"],
    "admin": ["*"],
}
KEYS = (
    key("pk_person"),
    key("pk_service", kind="service", scope_actions=["use", "create"]),
    key("pk_glass", break_glass=True),
    key("pk_old", revoked_at=NOON + DAY),
)
_days = st.integers(0, 6)
_changes = st.builds(
    lambda **fields: fields,
    action=st.sampled_from(["grant", "grant", "revoke", "use", "login", "delete"]),
    role=st.sampled_from(sorted(ROLES)),
    actor_id=st.sampled_from(["alice", "bob"]),
    approved_by=st.sampled_from([None, "alice", "carol"]),
    ticket=st.sampled_from([None, "T-1"]),
    key_id=st.sampled_from([*(known.key_id for known in KEYS), "pk_unknown"]),
    outcome=st.sampled_from(["success", "success", "denied"]),
    day=_days,
    ends=st.one_of(st.none(), _days),
    behind=st.sampled_from([0, 0, 300]),
)
_lives = st.lists(_changes, min_size=2, max_size=12)


def _events(life: list[dict[str, object]]) -> list[Event]:
    made = []
    for number, change in enumerate(life):
        fields = dict(change)
        at = NOON + int(str(fields.pop("day"))) * DAY + number * SECOND
        ends, behind = fields.pop("ends"), int(str(fields.pop("behind")))
        is_grant = fields["action"] == "grant"
        made.append(
            event(
                **fields,
                occurred_at=at,
                recorded_at=at - behind * SECOND,
                permissions=ROLES[str(fields["role"])] if is_grant else [],
                expires_at=NOON + int(str(ends)) * DAY if is_grant and ends is not None else None,
            )
        )
    return made


def _open(events: list[Event], batch: int) -> dict[tuple[str, str, str], tuple[int, int, int]]:
    world = World(KEYS, policy=POLICY, clock=lambda: NOON + 30 * DAY)
    # A subject is followed from the first change of its roles on; what came before that is not kept.
    world.send(event(action="grant", role="reader", permissions=["read"], occurred_at=NOON - DAY))
    world.send(*events, batch=batch)
    acts = {name: a for name, a in world.current().items() if a.status != "resolved"}
    conditions = {"redundant_grant", "toxic_combination", "overdue_grant", "role_sprawl"}
    # How often a condition began depends on what was known when; an act is counted once an event.
    return {
        name: (0, 0, 0) if name[0] in conditions else (a.count, a.first_seen, a.last_seen)
        for name, a in acts.items()
    }


@settings(max_examples=300)
@given(_lives, st.randoms(use_true_random=False), st.sampled_from([1, 3, 1000]))
def test_the_order_of_arrival_does_not_matter(
    life: list[dict[str, object]], chance: Random, batch: int
) -> None:
    events = _events(life)
    shuffled = list(events)
    chance.shuffle(shuffled)
    assert _open(shuffled, batch) == _open(sorted(events, key=lambda one: one.occurred_at), 1000)
