"""Matching names against patterns with `*` and `?`, ignoring case."""

import re
from collections.abc import Sequence
from fnmatch import translate
from functools import lru_cache


def matches_any(patterns: Sequence[str], name: str) -> bool:
    return _compiled(tuple(patterns)).match(name) is not None


@lru_cache(maxsize=4096)
def _compiled(patterns: tuple[str, ...]) -> re.Pattern[str]:
    # An empty alternation would match everything; this matches nothing.
    return re.compile("|".join(translate(p) for p in patterns) or r"(?!)", re.IGNORECASE)
