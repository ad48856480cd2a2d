"""Out of scope: a key does what it was not issued for.

Each dimension of the scope is its own cause: action, role, resource, environment, network, hours.
An empty list allows everything, and a value that the event does not state is never out of scope.
False positives: a scope that was written too tightly.
ATT&CK T1078 (Valid Accounts); OWASP NHI5:2025 (Overprivileged NHI).
"""

import ipaddress
from collections.abc import Iterator, Sequence
from functools import lru_cache
from shlex import quote

from keytrail.schemas.hours import within_hours
from keytrail.schemas.records import Event, Key
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.keys.keys import KeyAtEvent
from keytrail.stream.policies.patterns import matches_any
from keytrail.stream.policies.policy import Policy

RULE = Rule("out_of_scope", 1, "act", "high", "T1078")

Remembered = dict[tuple[str, str], bool]
# For each key: names are free text, and whoever writes events may choose ever new ones.
_MOST_REMEMBERED = 1_000
_LONGEST_REMEMBERED = 200

# Taking a role away is always in scope.
_ROLE_ACTIONS = frozenset({"grant", "use"})


def judge(event: Event, key: KeyAtEvent, policy: Policy) -> Iterator[Verdict]:  # noqa: ARG001
    if key.key is None:
        return
    for dimension, value in _outside(event, key.key, key.remembered):
        yield Verdict(
            RULE,
            "key",
            key.key.key_id,
            dimension,
            f"Key {key.key.key_id} of {key.key.owner} was used outside its scope: {dimension} {value}.",
            f"If this is meant, widen the key's scope; if not: keytrail keys suspend {quote(key.key.key_id)} "
            "--reason 'used out of scope'.",
            details={"owner": key.key.owner, dimension: value, "service": event.service},
        )


def _outside(event: Event, key: Key, known: Remembered) -> Iterator[tuple[str, str]]:
    roles = key.scope_roles if event.action in _ROLE_ACTIONS else ()
    for dimension, patterns in (
        ("action", key.scope_actions),
        ("role", roles),
        ("resource", key.scope_resources),
        ("environment", key.scope_environments),
    ):
        if (
            patterns
            and (value := getattr(event, dimension))
            and _not_among(patterns, value, dimension, known)
        ):
            yield dimension, value
    if key.scope_networks and event.source_ip and _elsewhere(event.source_ip, tuple(key.scope_networks)):
        yield "network", event.source_ip
    if key.scope_hours and not within_hours(key.scope_hours, event.occurred_at):
        yield "hours", key.scope_hours


def _not_among(patterns: Sequence[str], value: str, dimension: str, known: Remembered) -> bool:
    name = (dimension, value)
    found = known.get(name)
    if found is None:
        found = not matches_any(patterns, value)
        if len(known) < _MOST_REMEMBERED and len(value) <= _LONGEST_REMEMBERED:
            known[name] = found
    return found


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
