"""The terms that reports are made on: the period, and what the policy calls privileged and kept apart."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from keytrail.sinks.clickhouse.http import Param


@dataclass(frozen=True)
class Separation:
    """Roles like one of `first` and like one of `second` are not to be held together."""

    name: str
    first: tuple[str, ...]
    second: tuple[str, ...]


@dataclass(frozen=True)
class Terms:
    """Times are UTC, as ClickHouse writes them; patterns hold `*` and `?` and ignore case."""

    since: str
    until: str
    privileged_roles: tuple[str, ...]
    separations: tuple[Separation, ...]

    def params(self) -> dict[str, Param]:
        """By the names that the questions' SQL calls them."""
        return {
            "since": self.since,
            "until": self.until,
            "privileged": expression(self.privileged_roles),
            # Whatever a separation names, so that the few roles are found before they are told apart.
            "apart": expression([role for each in self.separations for role in (*each.first, *each.second)]),
            "separations": [separation.name for separation in self.separations],
            "firsts": [expression(separation.first) for separation in self.separations],
            "seconds": [expression(separation.second) for separation in self.separations],
        }


def expression(patterns: Sequence[str]) -> str:
    """The patterns as one regular expression of ClickHouse's (RE2); no patterns match nothing."""
    if not patterns:
        return "^[^\\s\\S]$"
    wild = {"*": ".*", "?": "."}
    either = ("".join(wild.get(char, re.escape(char)) for char in pattern) for pattern in patterns)
    return f"(?is)^(?:{'|'.join(either)})$"
