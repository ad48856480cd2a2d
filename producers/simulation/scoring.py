"""Comparing what was found with what is true: recall and precision, by rule and in all."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from keytrail.producers.simulation.truth import Finding, Label

# Where a past is read at once, what they say for a while depends on partitions that may be months behind;
# when all have been read they say what holds (decisions 004 and 025).
PASSING = frozenset({"dormant_key_awakes", "new_network"})


@dataclass(frozen=True)
class RuleScore:
    """One rule's findings, sorted.  `near_misses` are those of `wrong` that the truth warned of."""

    rule: str
    found: tuple[Finding, ...]
    missed: tuple[Finding, ...]
    wrong: tuple[Finding, ...]
    near_misses: tuple[Finding, ...]

    @property
    def expected(self) -> int:
        return len(self.found) + len(self.missed)

    @property
    def recall(self) -> float:
        """The share of what is due that was found; 1.0 where nothing is due."""
        return _share(len(self.found), self.expected)

    @property
    def precision(self) -> float:
        """The share of what was found that is due; 1.0 where nothing was found."""
        return _share(len(self.found), len(self.found) + len(self.wrong))


def compare(
    labels: Iterable[Label], findings: Iterable[Finding], over: AbstractSet[Finding] = frozenset()
) -> list[RuleScore]:
    """A score for each rule that is labelled or was found, by name.

    A finding that no label expects is wrong, whoever's events it comes from: the pipeline is taken to have
    seen nothing but the simulation.  Those of `over` that come of reading months at once (`PASSING`) are not
    wrong: they were taken back when the other partitions had come as far.
    """
    every = list(labels)
    due = {label.finding for label in every if label.expected}
    near = {label.finding for label in every if not label.expected}
    there = set(findings) - {finding for finding in over - due if finding.rule in PASSING}
    return [
        RuleScore(
            rule,
            _of(rule, due & there),
            _of(rule, due - there),
            _of(rule, there - due),
            _of(rule, near & there),
        )
        for rule in sorted({finding.rule for finding in due | near | there})
    ]


def total(scores: Iterable[RuleScore]) -> RuleScore:
    """All rules as one, called `total`."""
    every = list(scores)
    return RuleScore(
        "total",
        tuple(finding for score in every for finding in score.found),
        tuple(finding for score in every for finding in score.missed),
        tuple(finding for score in every for finding in score.wrong),
        tuple(finding for score in every for finding in score.near_misses),
    )


class Settling:
    """Tells when findings that are still coming in need no longer be waited for.

    That is so when recall is high enough and the last two looks agree, or when some were found
    and none came in `quiet_s` seconds.
    """

    def __init__(self, min_recall: float, quiet_s: float = 20.0) -> None:
        self._min_recall = min_recall
        self._quiet_s = quiet_s
        self._seen = (-1, -1)
        self._since = 0.0

    def is_over(self, overall: RuleScore, now: float) -> bool:
        """To be asked at each look; `now` in seconds of a clock that does not step."""
        seen = (len(overall.found), len(overall.wrong))
        if seen != self._seen:
            self._seen, self._since = seen, now
            return False
        if overall.recall >= self._min_recall:
            return True
        return seen != (0, 0) and now - self._since >= self._quiet_s


def _of(rule: str, findings: set[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(finding for finding in findings if finding.rule == rule))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
