"""Requests as multipart forms: long query parameters, and tables that come with a query."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from pathlib import Path
from tempfile import TemporaryFile

from keytrail.deploy.embedded.gateway.engine import EngineConnection, quoted
from keytrail.deploy.embedded.gateway.errors import EngineError, ErrorCode
from keytrail.deploy.embedded.gateway.request import DEFAULT_FORMAT


@dataclass(frozen=True)
class ExternalTable:
    """Rows that a query finds as temporary table `name`, with `structure` as in CREATE TABLE."""

    name: str
    structure: str
    format: str
    data: bytes


@dataclass(frozen=True)
class Form:
    """`arguments` are the URL's and the form's together, without those that describe `tables`."""

    arguments: Mapping[str, str]
    tables: tuple[ExternalTable, ...]


def is_form(content_type: str) -> bool:
    """Not for `application/x-www-form-urlencoded`: curl sends plain SQL under that name."""
    return content_type.strip().lower().startswith("multipart/form-data")


def read_form(content_type: str, body: bytes, arguments: Mapping[str, str]) -> Form:
    """Raises `EngineError` for a form that cannot be read."""
    merged = dict(arguments)
    files: list[tuple[str, bytes]] = []
    for name, is_file, content in _parts(content_type, body):
        if is_file:
            files.append((name, content))
        else:
            merged[name] = content.decode(errors="surrogateescape")
    tables = tuple([_table(name, content, merged) for name, content in files])
    return Form(merged, tables)


@contextmanager
def external_tables(
    connection: EngineConnection, tables: Iterable[ExternalTable], spool_dir: Path
) -> Iterator[None]:
    """Keeps `tables` on `connection` for the time of the block."""
    made = []
    try:
        for table in tables:
            connection.run(f"CREATE TEMPORARY TABLE `{table.name}` ({table.structure})".encode(), "Null")
            made.append(table.name)
            with TemporaryFile(dir=spool_dir) as rows:
                rows.write(table.data)
                rows.flush()
                connection.run(
                    f"INSERT INTO `{table.name}` FROM INFILE '/dev/fd/{rows.fileno()}' COMPRESSION 'none' "
                    f"FORMAT {table.format}".encode(),
                    "Null",
                )
        yield
    finally:
        for name in made:
            connection.run(f"DROP TEMPORARY TABLE `{name}`".encode(), "Null")


def _parts(content_type: str, body: bytes) -> Iterator[tuple[str, bool, bytes]]:
    """Name, whether it is a file, and content of each part, in order."""
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_boundary()
    if not boundary:
        raise _unreadable("it has no boundary")
    sections = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("latin-1"))[1:]
    if not sections or not sections[-1].startswith(b"--"):
        raise _unreadable("its end is missing")
    for section in sections[:-1]:
        head, found, content = section.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        described = BytesHeaderParser().parsebytes(head + b"\r\n\r\n")
        name = described.get_param("name", header="content-disposition")
        if not found or not isinstance(name, str):
            raise _unreadable("a part has no name")
        yield name, described.get_filename() is not None, content


def _table(name: str, data: bytes, arguments: dict[str, str]) -> ExternalTable:
    structure = arguments.pop(f"{name}_structure", "")
    types = arguments.pop(f"{name}_types", "")
    format_name = arguments.pop(f"{name}_format", DEFAULT_FORMAT)
    if not structure:
        structure = ", ".join(f"_{index} {kind}" for index, kind in enumerate(types.split(","), 1) if kind)
    if not structure or not format_name.isidentifier() or not name.isidentifier():
        raise EngineError.of(
            ErrorCode.BAD_REQUEST_PARAMETER,
            f"The external table {quoted(name)} needs a plain name, {name}_structure or {name}_types, "
            f"and a known {name}_format.",
        )
    return ExternalTable(name, structure, format_name, data)


def _unreadable(reason: str) -> EngineError:
    return EngineError.of(ErrorCode.BAD_REQUEST_PARAMETER, f"The multipart form cannot be read: {reason}.")
