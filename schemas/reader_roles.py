"""What somebody who only reads may see in ClickHouse, by role.

One list for both kinds of engine: the embedded one enforces it itself, for a server it becomes SQL.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from keytrail.schemas.errors import UsageError

_TEAM_KEY = "SELECT key_id FROM {database}.keys WHERE team = {team}"


@dataclass(frozen=True)
class ReaderRole:
    """`tables` are those that the role reads, each with what its rows must fulfil ("": all rows do).

    Views read tables, so a view shows what of its tables the role may see.  `{database}` and `{team}` (a SQL
    literal) stand in conditions; a role `of_team` is given for one team.  None: every table.
    """

    name: str
    meaning: str
    tables: Mapping[str, str] | None
    of_team: bool = False

    def conditions(self, database: str, team: str) -> Mapping[str, str] | None:
        """The tables with their conditions filled in for one database and team."""
        if self.tables is None:
            return None
        literal = "'" + team.replace("\\", "\\\\").replace("'", "\\'") + "'"
        return {
            table: condition.format(database=database, team=literal)
            for table, condition in self.tables.items()
        }


_ANALYST = MappingProxyType({"events": "", "anomalies": "", "keys": ""})

ROLES: Mapping[str, ReaderRole] = MappingProxyType(
    {
        role.name: role
        for role in (
            ReaderRole("analyst", "events, keys, findings and all views of them", _ANALYST),
            ReaderRole(
                "security",
                "as analyst, and dead letters, which hold records as they came",
                MappingProxyType({**_ANALYST, "dead_letters": ""}),
            ),
            ReaderRole("auditor", "every table, those that prove the log included", None),
            ReaderRole(
                "owner",
                "one team's keys, what was done with them, and the findings about them",
                MappingProxyType(
                    {
                        "events": "key_team = {team}",
                        "keys": "team = {team}",
                        "anomalies": f"entity_type = 'key' AND entity IN ({_TEAM_KEY})",
                    }
                ),
                of_team=True,
            ),
        )
    }
)


def reader_role(name: str) -> ReaderRole:
    """Raises `UsageError` for a name that no role has."""
    try:
        return ROLES[name]
    except KeyError:
        raise UsageError(f"There is no reader role {name!r}.", f"Choose one of {', '.join(ROLES)}.") from None
