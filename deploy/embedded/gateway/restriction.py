"""What a reader's statement may do: read, within limits, the rows that its role shows.

The engine has no users, roles or row policies.  It does hold a connection to `readonly = 1`, and to a
condition for each table (`additional_table_filters`), under whatever name and through whatever view the table
is read; neither can be taken back by the statement.  What reads round them is found in the statement's
syntax tree: functions that open files, other tables or the network.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from keytrail.deploy.embedded.gateway.engine import EngineConnection, quoted
from keytrail.deploy.embedded.gateway.errors import EngineError, ErrorCode
from keytrail.deploy.embedded.gateway.request import QueryRequest
from keytrail.deploy.embedded.gateway.statement import Insert, InsertThroughInput, Query
from keytrail.schemas.reader_roles import reader_role
from keytrail.schemas.readers import Reader

_LIMITS = {
    "max_execution_time": "60",
    "max_memory_usage": "2000000000",
    "max_result_rows": "1000000",
    "result_overflow_mode": "throw",
    "allow_introspection_functions": "0",
}
# What clients choose about the form of an answer.  All else could lead round the role; a schema is a file.
_FREE_SETTINGS = re.compile(
    r"output_format_(?!schema)\w+|format_csv_\w+|date_time_output_format|session_timezone|join_use_nulls|extremes"
)
# What tells of the tables and the language; the rest of `system` tells of other people's statements.
_CATALOGUE = frozenset(
    {"one", "numbers", "zeros", "databases", "tables", "columns", "functions", "table_functions", "settings"}
    | {"formats", "data_type_families", "time_zones"}
)
_HARMLESS_SOURCES = frozenset(
    {"numbers", "numbers_mt", "zeros", "zeros_mt", "generateseries", "generate_series", "values", "format"}
    | {"primes", "view", "null"}
)
_READING_FUNCTIONS = frozenset({"file", "joinget", "joingetornull", "generateserialid"})
_DESCRIBING = frozenset({"DESCRIBE", "DESC", "EXISTS", "EXPLAIN"})
_SHOWN = frozenset({"TABLES", "COLUMNS", "DATABASES", "CREATE"})
_APPLY = "ColumnsApplyTransformer"
_SETTINGS = "Set"  # also in a subquery, where the engine would take it
_NAMES = frozenset({"TableIdentifier", "Identifier"})


@dataclass(frozen=True)
class Catalogue:
    """What the engine has: tables by database, and the names of what opens other sources, in lower case."""

    tables: frozenset[tuple[str, str]]
    sources: frozenset[str]


def confined(request: QueryRequest, database: str, *, with_tables: bool) -> QueryRequest:
    """A reader's request: on a connection of its own, which may only read, in this database.

    Raises `EngineError` for settings, tables and databases that a reader may not bring along.
    """
    for name in request.settings:
        if not _FREE_SETTINGS.fullmatch(name):
            raise EngineError.of(
                ErrorCode.READONLY, f"Cannot modify {quoted(name)} setting in readonly mode."
            )
    if with_tables:
        raise EngineError.of(ErrorCode.READONLY, "A reader's request brings no tables along.")
    if request.database not in {"", "default", database}:
        raise _denied(f"Readers see the database {database}")
    return replace(request, database=database, session=None, read_only=True)


def restrict(
    connection: EngineConnection,
    reader: Reader,
    database: str,
    statement: Query | Insert | InsertThroughInput,
    params: Mapping[str, str],
) -> Query:
    """Holds the connection to what the reader may see of `database`; the statement to run on it instead.

    Raises `EngineError` where the statement is not for readers.  Use the connection for nothing else.
    """
    if not isinstance(statement, Query) or not _is_reading(statement):
        raise EngineError.of(ErrorCode.READONLY, "A reader's statement may only read.")
    catalogue = _look(connection)
    # Exactly the text that is looked at is run: a FORMAT clause goes another way.
    text = statement.body + b"\n" + statement.tail
    tree = connection.run(b"EXPLAIN AST " + text, "TSVRaw", params).data.decode(errors="replace")
    conditions = reader_role(reader.role).conditions(database, reader.team)
    _check(tree, catalogue, database, hidden(catalogue, database, conditions))
    filters = ",".join(
        f"{quoted(table)}:{quoted(condition)}"
        for table, condition in row_filters(catalogue, database, conditions).items()
    )
    connection.set({**_LIMITS, "additional_table_filters": f"{{{filters}}}"})
    connection.set({"readonly": "1"})
    return Query(text, statement.first_word, text, statement.format, b"")


def hidden(catalogue: Catalogue, database: str, conditions: Mapping[str, str] | None) -> frozenset[str]:
    """Tables of which the reader sees nothing, as `database.table`."""
    return frozenset(
        f"{owner}.{table}"
        for owner, table in catalogue.tables
        if not (
            (owner == "system" and table in _CATALOGUE)
            or owner.lower() == "information_schema"
            or (owner == database and (conditions is None or table in conditions))
        )
    )


def row_filters(
    catalogue: Catalogue, database: str, conditions: Mapping[str, str] | None
) -> Mapping[str, str]:
    """The condition that each table's rows must fulfil, where not all are shown."""
    shown = {f"{database}.{table}": condition for table, condition in (conditions or {}).items() if condition}
    return {**dict.fromkeys(sorted(hidden(catalogue, database, conditions)), "0"), **shown}


def _is_reading(statement: Query) -> bool:
    words = statement.body.split(None, 2)
    shows = statement.first_word == "SHOW" and len(words) > 1 and words[1].decode("latin-1").upper() in _SHOWN
    return statement.selects or statement.first_word in _DESCRIBING or shows


def _look(connection: EngineConnection) -> Catalogue:
    tables = connection.text(
        "SELECT database, name FROM system.tables WHERE engine NOT IN ('View', 'MaterializedView')"
    )
    sources = connection.text("SELECT lower(name) FROM system.table_functions")
    return Catalogue(
        frozenset((database, table) for database, table in tables),
        frozenset(name for (name,) in sources) - _HARMLESS_SOURCES,
    )


def _check(tree: str, catalogue: Catalogue, database: str, unseen: frozenset[str]) -> None:
    """Raises `EngineError` where a node of the tree is not for the reader.

    Said plainly here, the row filters see to it in any case: a hidden table read under a short name is empty.
    """
    for node in map(str.strip, tree.splitlines()):
        kind, _, rest = node.partition(" ")
        name = rest.split(" (", 1)[0]
        if kind == "Function" and name.lower() in catalogue.sources | _READING_FUNCTIONS:
            raise _denied(f"Function {name} is not for readers")
        if kind == _APPLY:
            raise _denied("APPLY with a function's name is not for readers; write the function out")
        if kind == _SETTINGS:
            raise EngineError.of(ErrorCode.READONLY, "Cannot modify settings in readonly mode.")
        if kind in _NAMES and not unseen.isdisjoint({name, f"{database}.{name}"}):
            raise _denied(f"{name} is not shown to this reader")


def _denied(what: str) -> EngineError:
    return EngineError.of(ErrorCode.ACCESS_DENIED, f"Not enough privileges. {what}.")
