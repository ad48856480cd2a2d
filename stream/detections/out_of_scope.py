"""Out of scope: a key does what it was not issued for.

Each dimension of the scope is its own cause: action, role, resource, environment, network, hours.
An empty list allows everything, and a value that the event does not state is never out of scope.
False positives: a scope that was written too tightly.
ATT&CK T1078 (Valid Accounts); OWASP NHI5:2025 (Overprivileged NHI).
"""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from shlex import quote

from keytrail.schemas.hours import within_hours
from keytrail.schemas.records import Event, Key
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.keys.keys import KeyAtEvent, Outside
from keytrail.stream.policies.patterns import matches_any
from keytrail.stream.policies.policy import Policy

RULE = Rule("out_of_scope", 1, "act", "high", "T1078")

# For each key: what events name is free text, and whoever writes events may choose ever new ones.
_MOST_REMEMBERED = 1_000
_LONGEST_REMEMBERED = 200

# Taking a role away is always in scope.
_ROLE_ACTIONS = frozenset({"grant", "use"})
_NAMES = ("action", "role", "resource", "environment")


def judge(event: Event, key: KeyAtEvent, policy: Policy) -> Sequence[Verdict]:  # noqa: ARG001
    if key.key is None:
        return ()
    outside = _outside(event, key.key, key.outside)
    return [_verdict(event, key.key, dimension, value) for dimension, value in outside] if outside else ()


def _verdict(event: Event, key: Key, dimension: str, value: str) -> Verdict:
    return Verdict(
        RULE,
        "key",
        key.key_id,
        dimension,
        f"Key {key.key_id} of {key.owner} was used outside its scope: {dimension} {value}.",
        f"If this is meant, widen the key's scope; if not: keytrail keys suspend {quote(key.key_id)} "
        "--reason 'used out of scope'.",
        details={"owner": key.owner, dimension: value, "service": event.service},
    )


def _outside(event: Event, key: Key, known: dict[tuple[str | None, ...], Outside]) -> Outside:
    names = (
        event.action,
        event.role if key.scope_roles and event.action in _ROLE_ACTIONS else None,
        event.resource if key.scope_resources else None,
        event.environment if key.scope_environments else None,
    )
    outside = known.get(names)
    if outside is None:
        outside = _names_outside(names, key)
        if len(known) < _MOST_REMEMBERED and sum(len(name or "") for name in names) <= _LONGEST_REMEMBERED:
            known[names] = outside
    if key.scope_networks and event.source_ip and _elsewhere(event.source_ip, tuple(key.scope_networks)):
        outside = (*outside, ("network", event.source_ip))
    if key.scope_hours and not within_hours(key.scope_hours, event.occurred_at):
        outside = (*outside, ("hours", key.scope_hours))
    return outside


def _names_outside(names: Sequence[str | None], key: Key) -> Outside:
    scope = (key.scope_actions, key.scope_roles, key.scope_resources, key.scope_environments)
    return tuple(
        (dimension, name)
        for dimension, name, patterns in zip(_NAMES, names, scope, strict=True)
        if name and patterns and not matches_any(patterns, name)
    )


@lru_cache(maxsize=65_536)
def _elsewhere(address: str, networks: tuple[str, ...]) -> bool:
    """True where the address lies in none of the networks; text that is no address says nothing."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not any(ip in network for network in _networks(networks))


@lru_cache(maxsize=4096)
def _networks(texts: tuple[str, ...]) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)
