"""Whether a statement of a migration rewrites rows that are stored, and of which table.  Pure functions.

What changes a definition alone takes no time, however large the table is.  What rewrites is named, so that
whoever runs it knows; a statement that is of no known kind counts among these.
"""

import re

_TEXT = re.compile(r"'(?:[^'\\]|\\.)*'")
_ALTER = re.compile(
    r"ALTER TABLE (?:IF EXISTS )?`?(?P<table>\w+)`?(?P<actions>.*)", re.DOTALL | re.IGNORECASE
)
_INSERT = re.compile(r"INSERT INTO (?:TABLE )?`?(?P<table>\w+)`?", re.IGNORECASE)
_CREATE = re.compile(r"(CREATE (OR REPLACE )?(TABLE|VIEW|ROLE|ROW POLICY)|DROP VIEW)\b", re.IGNORECASE)
_NAME = r"(?:IF (?:NOT )?EXISTS )?`?\w+`?"
_DEFINITION = re.compile(
    r"(ADD (COLUMN|INDEX|PROJECTION|CONSTRAINT)"
    r"|DROP (INDEX|PROJECTION|CONSTRAINT)"
    r"|COMMENT COLUMN|RENAME COLUMN"
    rf"|MODIFY COLUMN {_NAME} (DEFAULT|COMMENT|REMOVE)"
    r"|(MODIFY|RESET) SETTING|MODIFY COMMENT)\b",
    re.IGNORECASE,
)


def rewritten_table(statement: str) -> str | None:
    """The table whose rows the statement rewrites, "" where that cannot be told; None: it rewrites none."""
    text = " ".join(_TEXT.sub("''", statement).split())
    if _CREATE.match(text):
        return "" if re.search(r"\bPOPULATE\b|\bENGINE\b.*\bAS SELECT\b", text, re.IGNORECASE) else None
    if altered := _ALTER.match(text):
        heavy = [each for each in _actions(altered["actions"]) if not _DEFINITION.match(each)]
        return altered["table"] if heavy else None
    inserted = _INSERT.match(text)
    return inserted["table"] if inserted else ""


def _actions(text: str) -> list[str]:
    """What stands between commas that are in no brackets."""
    actions, depth = [""], 0
    for char in text:
        depth += {"(": 1, ")": -1}.get(char, 0)
        if char == "," and depth == 0:
            actions.append("")
        else:
            actions[-1] += char
    return [action.strip() for action in actions]
