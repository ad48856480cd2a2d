"""What a request asks for: rows to insert, a result to stream, or any other statement.

The engine takes rows from a file and streams a result to a file, so the statement is rewritten to name
one: `FROM INFILE` or `INTO OUTFILE` before its FORMAT clause.  Nothing else in it is touched.
"""

from dataclasses import dataclass

from keytrail.deploy.embedded.gateway.errors import EngineError, ErrorCode
from keytrail.deploy.embedded.gateway.lexer import END, Cursor, Kind, Token, tokens

_RESULT_WORDS = {"SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS", "CHECK"}
_SESSION_WORDS = {"SET", "USE"}
_NAME_FOLLOWS = {"INSERT", "INTO", "TABLE", "FUNCTION"}


@dataclass(frozen=True)
class Insert:
    """`INSERT INTO target [SETTINGS ...] FORMAT format`, whose rows begin at `data_start` of the text."""

    target: bytes
    settings: bytes
    format: str
    data_start: int

    @property
    def shown(self) -> bytes:
        """The statement without its rows."""
        return self.target

    def reading(self, path: str) -> bytes:
        """The statement that takes the rows from the file at `path`."""
        return b"%s\nFROM INFILE '%s' COMPRESSION 'none'\n%s\nFORMAT %s" % (
            self.target,
            path.encode(),
            self.settings,
            self.format.encode(),
        )


@dataclass(frozen=True)
class InsertThroughInput:
    """`INSERT ... SELECT ... FROM input('structure') ... FORMAT format`, rows from `data_start` on.

    The embedded engine reads no rows through `input`, and says nothing; it reads them through `file`.
    """

    before: bytes
    structure: bytes
    after: bytes
    format: str
    data_start: int

    @property
    def shown(self) -> bytes:
        """The statement without its rows."""
        return self.before + self.after

    def reading(self, path: str) -> bytes:
        """The statement that takes the rows from the file at `path`."""
        return b"%sfile('%s', '%s', %s)%s" % (
            self.before,
            path.encode(),
            self.format.encode(),
            self.structure,
            self.after,
        )


@dataclass(frozen=True)
class _InputCall:
    start: int
    end: int
    structure: bytes


@dataclass(frozen=True)
class Query:
    """A statement without rows of its own; `format` is that of its FORMAT clause, or empty.

    `body` is what stands before the FORMAT clause, `tail` what follows it (settings).
    """

    text: bytes
    first_word: str
    body: bytes
    format: str
    tail: bytes

    @property
    def shown(self) -> bytes:
        """The whole statement."""
        return self.text

    @property
    def selects(self) -> bool:
        return self.first_word in {"SELECT", "WITH", "FROM", "("}

    @property
    def has_result(self) -> bool:
        """Whether a format is part of the answer even when there are no rows."""
        return self.selects or self.first_word in _RESULT_WORDS

    @property
    def changes_session(self) -> bool:
        return self.first_word in _SESSION_WORDS

    def writing(self, path: str, default_format: str) -> bytes:
        """The statement that appends its result to the file at `path`; only for one that `selects`."""
        return b"%s\nINTO OUTFILE '%s' APPEND COMPRESSION 'none'\nFORMAT %s\n%s" % (
            self.body,
            path.encode(),
            (self.format or default_format).encode(),
            self.tail,
        )


def find_insert(text: bytes) -> Insert | InsertThroughInput | None:
    """The INSERT at the start of `text` whose rows follow it, or None for any other or unfinished text.

    Raises `EngineError` for what would have the engine read a file of this machine as if it were the
    client's, and for a use of input() that is not understood.
    """
    cursor = Cursor(text)
    if cursor.peek().word != "INSERT":
        return None
    settings_at = -1
    selecting = False
    source: _InputCall | None = None
    previous = END
    while (token := cursor.take()) is not END:
        is_name = previous.word in _NAME_FOLLOWS or previous.sign == "."
        previous = token
        if is_name:
            continue
        if token.word == "INPUT" and selecting and cursor.peek().sign == "(":
            source = _input_call(token, cursor)
        elif token.depth:
            continue
        elif token.word == "FROM" and not selecting and cursor.peek().word == "INFILE":
            raise EngineError.of(ErrorCode.NOT_IMPLEMENTED, "FROM INFILE is for a client, not for HTTP.")
        elif token.word in {"SELECT", "WITH", "FROM"}:
            selecting = True
        elif token.word == "SETTINGS" and not selecting:
            settings_at = token.start
        elif token.word == "VALUES" and not selecting:
            return _insert(text, token.start, settings_at, "Values", token.end)
        elif token.word == "FORMAT" and (source or not selecting):
            name = cursor.take()
            if not name.word:
                return None
            format_name = text[name.start : name.end].decode("ascii")
            data_start = _data_start(text, name.end)
            if not source:
                return _insert(text, token.start, settings_at, format_name, data_start)
            return InsertThroughInput(
                before=text[: source.start],
                structure=source.structure,
                after=text[source.end : token.start],
                format=format_name,
                data_start=data_start,
            )
    if source:
        raise EngineError.of(ErrorCode.SYNTAX_ERROR, "input() needs a FORMAT clause and rows behind it.")
    return None


def read_query(text: bytes) -> Query:
    """Any other statement.

    Raises `EngineError` for an empty text, several statements in one, and INTO OUTFILE.
    """
    found = list(tokens(text))
    while found and found[-1].sign == ";":
        found.pop()
    if not found:
        raise EngineError.of(ErrorCode.SYNTAX_ERROR, "Syntax error: the query is empty.")
    clause = len(found)
    for index, token in enumerate(found):
        following = found[index + 1].word if index + 1 < len(found) else ""
        if token.sign == ";":
            raise EngineError.of(ErrorCode.SYNTAX_ERROR, "Syntax error (Multi-statements are not allowed).")
        if token.depth:
            continue
        if token.word == "INTO" and following == "OUTFILE":
            raise EngineError.of(ErrorCode.INTO_OUTFILE_NOT_ALLOWED, "INTO OUTFILE is not allowed.")
        if token.word == "FORMAT" and following and index:
            behind = found[index + 2] if index + 2 < len(found) else None
            if behind is None or behind.word == "SETTINGS":
                clause = index
    last = found[-1]
    first_word = found[0].word or found[0].sign
    if first_word == "WITH" and any(token.word == "INSERT" and not token.depth for token in found):
        first_word = "INSERT"
    name = found[clause + 1] if clause < len(found) else None
    return Query(
        text=text,
        first_word=first_word,
        body=text[: found[clause - 1].end],
        format=text[name.start : name.end].decode("ascii") if name else "",
        tail=text[name.end : last.end] if name else b"",
    )


def _insert(text: bytes, clause: int, settings_at: int, format_name: str, data_start: int) -> Insert:
    target_end = settings_at if settings_at >= 0 else clause
    return Insert(text[:target_end], text[target_end:clause], format_name, data_start)


def _data_start(text: bytes, position: int) -> int:
    """Rows begin behind the format's name, blanks, and at most one line end: the next byte is data."""
    while text[position : position + 1] in (b" ", b"\t", b"\f"):
        position += 1
    if text.startswith(b"\r", position):
        position += 1
    return position + 1 if text.startswith(b"\n", position) else position


def _input_call(call: Token, cursor: Cursor) -> _InputCall:
    cursor.take()
    structure, closing = cursor.take(), cursor.take()
    if structure.kind is not Kind.QUOTED or closing.sign != ")":
        raise EngineError.of(
            ErrorCode.NOT_IMPLEMENTED, "input() takes one string here, the structure of the rows."
        )
    return _InputCall(call.start, closing.end, cursor.text[structure.start : structure.end])
