"""Classes of events, each with the time that it is kept: `[retention.CLASS]` in keytrail.toml."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keytrail.schemas.errors import UsageError
from keytrail.sinks.clickhouse.http import text

_KEEP = re.compile(r"([1-9]\d{0,4})\s*([dwy])")
_DAYS = {"d": 1, "w": 7, "y": 366}
_SEVERITIES = ("low", "medium", "high", "critical")
# An event says which rules it counts against, not how grave it was: the gravest that a rule found counts.
_EVIDENCE = (
    "hasAny(findings, (SELECT groupUniqArray(rule) FROM (SELECT rule FROM anomalies GROUP BY rule"
    " HAVING argMax(severity, indexOf([{every}], severity)) IN ({severities}))))"
)
_LISTS = ("actions", "services", "severities")


@dataclass(frozen=True)
class RetentionClass:
    """Events that are kept for `keep_days` after they happened and came, whichever was later.

    `actions` and `services` are patterns with * and ?, of which one must fit; `severities` are the
    highest that a rule ever gave which the event counts against.  Empty: any.
    """

    name: str
    keep_days: int
    actions: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()

    @property
    def condition(self) -> str:
        """Which rows of `events` it has, in SQL."""
        every = [_any("action", self.actions), _any("service", self.services)]
        if self.severities:
            some, known = (", ".join(map(text, names)) for names in (self.severities, _SEVERITIES))
            every.append(_EVIDENCE.format(severities=some, every=known))
        return " AND ".join(each for each in every if each) or "1"


def read_classes(sections: Mapping[str, Mapping[str, str]]) -> list[RetentionClass]:
    """From the sections below `[retention]`, in the file's order: an event is of the first that has it.

    Raises `UsageError` for what is no class.
    """
    return [_class(name, values) for name, values in sections.items()]


def conditions(classes: Sequence[RetentionClass]) -> list[str]:
    """For each class its rows, without those of the classes before it."""
    found, before = [], "0"
    for each in classes:
        found.append(f"({each.condition}) AND NOT ({before})")
        before = f"{before} OR ({each.condition})"
    return found


def _class(name: str, values: Mapping[str, str]) -> RetentionClass:
    where = f"[retention.{name}]"
    if unknown := sorted(set(values) - {"keep", *_LISTS}):
        raise UsageError(
            f"{where} has {', '.join(unknown)}, which means nothing.", f"It takes keep, {', '.join(_LISTS)}."
        )
    keep = _KEEP.fullmatch(values.get("keep", ""))
    if keep is None:
        raise UsageError(f"{where} does not say how long.", 'Write keep = "400d", or weeks or years: 8w, 7y.')
    actions, services, severities = (
        tuple(part.strip() for part in values.get(key, "").split(",") if part.strip()) for key in _LISTS
    )
    if wrong := set(severities) - set(_SEVERITIES):
        raise UsageError(
            f"{where} names severity {', '.join(sorted(wrong))}.", f"Use {', '.join(_SEVERITIES)}."
        )
    return RetentionClass(name, int(keep[1]) * _DAYS[keep[2]], actions, services, severities)


def _any(column: str, patterns: Sequence[str]) -> str:
    """Whether one of the patterns fits the column; "" where there is none."""
    likes = [f"{column} LIKE {text(_like(pattern))}" for pattern in patterns]
    return f"({' OR '.join(likes)})" if likes else ""


def _like(pattern: str) -> str:
    escaped = re.sub(r"([\\%_])", r"\\\1", pattern)
    return escaped.replace("*", "%").replace("?", "_")
