"""What is wrong with a policy file: every problem, with the line that it is in."""

from collections.abc import Iterable
from dataclasses import dataclass

from keytrail.schemas.errors import UsageError

_MOST_SAID = 100


@dataclass(frozen=True, order=True)
class Problem:
    """`line` counts from 1; 0 where the problem is the whole file's."""

    line: int
    text: str


class PolicyError(UsageError):
    """A policy file cannot be used; `problems` has all that is wrong with it, in the order of lines."""

    def __init__(self, name: str, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join([f"{name} cannot be used:", *(_shown(name, p) for p in self.problems)]))


class Problems:
    """Collects the problems of one file.  The first 100 are kept, and of the others their number."""

    def __init__(self) -> None:
        self._found: list[Problem] = []
        self._more = 0

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, line: int, text: str) -> None:
        if len(self._found) < _MOST_SAID:
            self._found.append(Problem(line, text))
        else:
            self._more += 1

    def error(self, name: str) -> PolicyError:
        """The error to raise for the file of this name."""
        found = sorted(self._found, key=lambda problem: problem.line)
        if self._more:
            found.append(Problem(0, f"There are {self._more} more problems."))
        return PolicyError(name, found)


def _shown(name: str, problem: Problem) -> str:
    return f"{name}:{problem.line}: {problem.text}" if problem.line else f"{name}: {problem.text}"
