"""The reader roles as SQL for a ClickHouse server: a settings profile, roles, grants and row policies."""

from collections.abc import Iterable

from keytrail.schemas.reader_roles import ROLES, ReaderRole

_PROFILE = """CREATE SETTINGS PROFILE OR REPLACE keytrail_reader SETTINGS
    readonly = 2 READONLY,
    max_execution_time = 60 MAX 60,
    max_memory_usage = 2000000000 MAX 2000000000,
    max_result_rows = 1000000 MAX 1000000,
    result_overflow_mode = 'throw' READONLY;
"""


def reader_sql(database: str, views: Iterable[str], teams: Iterable[str]) -> str:
    """Statements that make the roles, to be run by an administrator; they may be run again.

    A view asks with its reader's rights, so a role is granted every view, and sees of each what it may see
    of the view's tables.  The role for one team is made for each of `teams`.
    """
    shown = sorted(views)
    parts = [_PROFILE]
    for role in ROLES.values():
        for team in sorted(teams) if role.of_team else [""]:
            parts.append(_role(role, team, database, shown))
    return "\n".join(parts)


def _role(role: ReaderRole, team: str, database: str, views: Iterable[str]) -> str:
    name = _quoted(f"keytrail_{role.name}_{team}" if team else f"keytrail_{role.name}")
    within = _quoted(database)
    lines = [
        f"-- {role.name}: {role.meaning}.",
        f"CREATE ROLE OR REPLACE {name} SETTINGS PROFILE 'keytrail_reader';",
    ]
    conditions = role.conditions(database, team)
    if conditions is None:
        lines.append(f"GRANT SELECT ON {within}.* TO {name};")
        return "\n".join(lines) + "\n"
    lines += [f"GRANT SELECT ON {within}.{_quoted(table)} TO {name};" for table in (*conditions, *views)]
    lines += [
        f"CREATE ROW POLICY OR REPLACE {name} ON {within}.{_quoted(table)}"
        f" FOR SELECT USING {condition} TO {name};"
        for table, condition in conditions.items()
        if condition
    ]
    return "\n".join(lines) + "\n"


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"
