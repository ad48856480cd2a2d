"""Splits SQL into tokens the way ClickHouse does, as far as finding its clauses needs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    WORD = "word"
    QUOTED = "quoted"
    SIGN = "sign"


@dataclass(frozen=True)
class Token:
    """`text[start:end]`; `word` is the upper-cased text of a bare word, else empty.

    `depth` counts the brackets of any sort around the token; a closing bracket has its opener's depth.
    """

    kind: Kind
    start: int
    end: int
    depth: int
    word: str = ""
    sign: str = ""


END = Token(Kind.SIGN, -1, -1, 0)

_SKIP = re.compile(rb"(?:[\s\0]+|--[^\n]*|#[ !][^\n]*)+")
_WORD = re.compile(rb"[A-Za-z_][A-Za-z0-9_$]*")
_NUMBER = re.compile(rb"[0-9][A-Za-z0-9_]*")
_QUOTED = re.compile(
    rb"'(?:[^'\\]|\\.|'')*'"
    rb'|"(?:[^"\\]|\\.|"")*"'
    rb"|`(?:[^`\\]|\\.|``)*`"
    rb"|\xe2\x80\x98.*?\xe2\x80\x99"
    rb"|\xe2\x80\x9c.*?\xe2\x80\x9d",
    re.DOTALL,
)
_HEREDOC = re.compile(rb"(\$\w*\$).*?\1", re.DOTALL)
_COMMENT_EDGE = re.compile(rb"/\*|\*/")


def tokens(text: bytes) -> Iterator[Token]:
    """The tokens of `text`, read only as far as asked; comments and blanks are left out.

    Text that is not SQL (an open quote, the rows behind an INSERT) becomes single signs: never an error.
    """
    position = depth = 0
    while position < len(text):
        if skipped := _SKIP.match(text, position):
            position = skipped.end()
        elif text.startswith(b"/*", position):
            position = _after_comment(text, position)
        elif found := _WORD.match(text, position):
            yield Token(Kind.WORD, position, found.end(), depth, word=found[0].decode("ascii").upper())
            position = found.end()
        elif found := _QUOTED.match(text, position) or _HEREDOC.match(text, position):
            yield Token(Kind.QUOTED, position, found.end(), depth)
            position = found.end()
        elif found := _NUMBER.match(text, position):
            yield Token(Kind.SIGN, position, found.end(), depth)
            position = found.end()
        else:
            sign = text[position : position + 1].decode("latin-1")
            if sign in ")]}":
                depth = max(0, depth - 1)
            yield Token(Kind.SIGN, position, position + 1, depth, sign=sign)
            if sign in "([{":
                depth += 1
            position += 1


class Cursor:
    """Walks tokens one at a time with a look at the next one."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self._tokens = tokens(text)
        self._next = next(self._tokens, END)

    def take(self) -> Token:
        """The next token; `END` when there is none, however often asked."""
        token, self._next = self._next, next(self._tokens, END)
        return token

    def peek(self) -> Token:
        return self._next


def _after_comment(text: bytes, position: int) -> int:
    """Behind the comment that opens at `position`; comments nest, and an open one runs to the end."""
    level = 0
    for edge in _COMMENT_EDGE.finditer(text, position):
        level += 1 if edge[0] == b"/*" else -1
        if level == 0:
            return edge.end()
    return len(text)
