"""New network: a key whose networks are known is used from another one.

Formula, for the first use from a network (/24, of IPv6 /48) on the UTC day d, with f the key's first day of
use and u the number of its days of use before d:

    d - f >= networks.days  and  u >= networks.days_of_use

A key whose scope names its networks is judged by those alone (`out_of_scope`).  Refused uses count:
somebody has the key.  One finding for each network; it goes where events that come late show that the
network was known earlier. False positives: people who travel and work from home, services behind changing
addresses; give such keys the networks of their scope.  Of one key 32 networks are remembered: one that has
more roams, and nothing is new to it. ATT&CK T1078 (Valid Accounts); OWASP NHI2:2025 (Secret Leakage).
Source of the idea: new-ASN and new-IP rules of SIEM vendors for service accounts.
"""

from collections.abc import Iterator
from shlex import quote

from keytrail.stream.conduct.conduct import Conduct
from keytrail.stream.conduct.tallies import DAY
from keytrail.stream.detections.verdict import Rule, Verdict
from keytrail.stream.policies.policy import Policy

RULE = Rule("new_network", 1, "act", "medium", "T1078", measure="figure")


def judge(conduct: Conduct, policy: Policy) -> Iterator[Verdict]:
    if not conduct.networks:
        return
    limits, days, name = policy.networks, conduct.days, conduct.key_id
    for network, at in conduct.networks.items():
        day = at.occurred_at // DAY
        uses = days.before(day)
        if uses < limits.days_of_use and not days.is_whole:
            continue  # what came before it is no longer known
        if uses >= limits.days_of_use and day - days.very_first >= limits.days:
            conduct.new_networks.add(network)
            yield Verdict(
                RULE,
                "key",
                name,
                network,
                f"Key {name} of {conduct.owner} was used from {network}, from where it had never been used.",
                f"Ask {conduct.owner} whether this was meant; if not: keytrail keys suspend {quote(name)} "
                "--reason 'used from elsewhere'.",
                details={"owner": conduct.owner, "network": network},
                evidence=(at,),
            )
        elif network in conduct.new_networks:
            conduct.new_networks.discard(network)
            yield Verdict(RULE, "key", name, network, "It was known.", "", holds=False, evidence=(at,))
