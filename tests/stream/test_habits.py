"""The rules over a key's days, hours, networks and actors, one by one; `test_conduct` has what they share."""

from world import DAY, NOON, World, event, key

from keytrail.schemas.records import Anomaly, Event
from keytrail.stream.conduct.conduct import Conduct, pack, unpack
from keytrail.stream.conduct.limits import SharingLimits
from keytrail.stream.policies.policy import Exemption, Policy

HOUR = DAY // 24
FUTURE = NOON + 1_000 * DAY


def use(day: float, **fields: object) -> Event:
    at = NOON + round(day * DAY)
    return event(**{"key_id": "pk_1", "subject": None, **fields}, occurred_at=at, recorded_at=at)


def world(*events: Event, policy: Policy | None = None, **fields: object) -> World:
    """Of one key, after these events."""
    one = World([key(**fields)], policy=policy, clock=lambda: FUTURE)
    one.send(event(action="login", occurred_at=NOON - DAY, recorded_at=NOON - DAY), *events)
    return one


def found(one: World, rule: str) -> list[Anomaly]:
    return [anomaly for anomaly in one.current().values() if anomaly.rule == rule]


def test_a_key_that_lay_unused_for_three_months_awakes() -> None:
    assert found(world(use(0), use(89)), "dormant_key_awakes") == []
    one = world(use(0), last := use(90), use(91))
    [anomaly] = found(one, "dormant_key_awakes")
    assert (anomaly.entity, anomaly.count, anomaly.evidence) == ("pk_1", 90, [last.event_id])
    assert "keytrail keys suspend pk_1" in anomaly.remedy


def test_a_refused_use_wakes_a_key_too() -> None:
    assert found(world(use(0), use(90, outcome="denied")), "dormant_key_awakes") != []


def test_a_key_that_was_never_used_awakes_if_its_issue_was_seen() -> None:
    assert found(world(use(95), issued_at=NOON), "dormant_key_awakes") != []
    assert found(world(use(95), issued_at=NOON - 2 * DAY), "dormant_key_awakes") == []


def test_a_break_glass_key_is_meant_to_lie_unused() -> None:
    one = world(use(0), use(200), break_glass=True)
    assert {rule for rule, _, _ in one.open_findings()} == {"break_glass_use"}


def test_a_late_event_shows_that_a_key_was_not_dormant() -> None:
    one = world(use(0), use(100))
    one.send(use(50))
    [anomaly] = found(one, "dormant_key_awakes")
    assert anomaly.status == "resolved"


def test_a_key_that_awakes_twice_is_one_finding_of_the_latest_time() -> None:
    [anomaly] = found(world(use(0), use(100), use(300)), "dormant_key_awakes")
    assert (anomaly.count, anomaly.first_seen) == (200, NOON + 300 * DAY)


def test_a_network_is_new_to_a_key_whose_networks_are_known() -> None:
    usual = [use(day, source_ip="198.51.100.7") for day in (0, 3, 6, 9, 12)]
    then = use(15, source_ip="203.0.113.9")
    [anomaly] = found(world(*usual, then, use(16, source_ip="203.0.113.200")), "new_network")
    assert (anomaly.cause, anomaly.count, anomaly.evidence) == ("203.0.113.0/24", 1, [then.event_id])
    assert found(world(*usual, use(13, source_ip="203.0.113.9")), "new_network") == [], "too young"
    assert found(world(*usual[:4], then), "new_network") == [], "too seldom used"
    assert found(world(*usual, use(15, source_ip="198.51.100.99")), "new_network") == [], "the same network"
    assert found(world(*usual, use(15)), "new_network") == [], "no address stated"
    scoped = world(*usual, then, scope_networks=["0.0.0.0/0"])
    assert found(scoped, "new_network") == [], "its scope says from where"


def test_a_late_event_shows_that_a_network_was_known() -> None:
    usual = [use(day, source_ip="198.51.100.7") for day in (0, 3, 6, 9, 12)]
    one = world(*usual, use(15, source_ip="203.0.113.9"))
    one.send(use(2, source_ip="203.0.113.1"))
    [anomaly] = found(one, "new_network")
    assert anomaly.status == "resolved"


def test_of_more_networks_than_are_remembered_the_first_stay() -> None:
    usual = [use(day / 2, source_ip=f"10.0.{day}.1") for day in range(80)]
    in_order, backwards = world(*usual), world(*reversed(usual))
    assert in_order.open_findings() == backwards.open_findings()
    assert 0 < len(found(in_order, "new_network")) < 32


def test_a_key_in_many_hands_on_one_day() -> None:
    hands = [use(0, actor_id="ann"), use(0.01, actor_id="ben"), use(0.02, actor_id="cleo")]
    [anomaly] = found(world(*hands), "shared_key")
    assert (anomaly.count, anomaly.details["actors"]) == (3, "ann, ben, cleo")
    assert anomaly.evidence == [one.event_id for one in hands]
    assert found(world(*hands[:2], use(2, actor_id="cleo")), "shared_key") == []
    expected = Policy(sharing=SharingLimits(expected=("pk_*",)))
    assert found(world(*hands, policy=expected), "shared_key") == []


def test_a_person_does_not_work_round_the_clock_and_a_service_does() -> None:
    clock = [use(hour / 24) for hour in range(22)]
    [anomaly] = found(world(*clock), "automation_cadence")
    assert anomaly.count == 22
    assert found(world(*clock[:19]), "automation_cadence") == []
    assert found(world(*clock, kind="service"), "automation_cadence") == []
    slow = [use(number * 2 / 24) for number in range(40)]
    assert found(world(*slow), "automation_cadence") == []


def test_an_exception_covers_a_finding_over_conduct() -> None:
    exemption = Exemption("dormant_key_awakes", "pk_*", "carol", "yearly task", "2100-01-01")
    [anomaly] = found(world(use(0), use(100), policy=Policy(exceptions=(exemption,))), "dormant_key_awakes")
    assert anomaly.status == "suppressed"


def test_what_is_stored_of_a_key_is_bounded() -> None:
    one = World([key(), key("pk_many")], clock=lambda: FUTURE)
    for day in range(400):
        one.send(
            *(
                use(
                    day + hour / 24, actor_id=f"actor-{hour}-{day % 40}", source_ip=f"10.{day % 250}.{hour}.1"
                )
                for hour in range(24)
            )
        )
    [stored] = [
        value for key_id, value in dict(one.finding_changelog).items() if key_id == b"conduct/pk_1" and value
    ]
    assert len(stored) < 20_000


def test_a_conduct_is_stored_as_it_is() -> None:
    one = Conduct("pk_1", 3, "human", "bob", issued_at=NOON, new_networks={"10.0.0.0/24"}, awoke=True)
    assert unpack(pack(one)) == one
