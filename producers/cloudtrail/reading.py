"""Cutting CloudTrail's text into records, in bounded memory and past what is broken.

A log file is `{"Records": [...]}`; JSON lines, plain arrays, and several of these one behind
the other (as `cat` leaves them) are read too.
"""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from json import JSONDecodeError, JSONDecoder

from keytrail.producers.cloudtrail.jsonvalue import Json, JsonObject

# A record is at most 256 KB as AWS writes it; what does not end within this is no record.
_LONGEST = 4 * 1024 * 1024
_LOOK_AHEAD = 1024

_BETWEEN = re.compile(r"[\s,]*")
_OPENING = re.compile(r'\{\s*"Records"\s*:\s*\[|\[')
_CLOSING = re.compile(r"\]\s*\}?")
# Where the next record may begin behind a broken one: in an array, and between lines.
_NEXT_IN_ARRAY = re.compile(r',\s*(?=\{\s*"eventVersion"\s*:)|(?=\{\s*"Records"\s*:\s*\[)')
_NEXT_LINE = re.compile(r"\n(?=[{\[])")
# A string, be it torn, or a bracket.
_TOKEN = re.compile(r'"(?:[^"\\]+|\\.)*+(?:"|\\?\Z)|[][{}]', re.DOTALL)
_DECODER = JSONDecoder()


@dataclass(frozen=True)
class Place:
    """`number` counts a source's records from 1; `offset` is that of the first character, from 0."""

    source: str
    number: int
    offset: int

    def __str__(self) -> str:
        return f"{self.source}, record {self.number} (character {self.offset})"


@dataclass(frozen=True)
class Problem:
    """A record, or the rest of a source, that could not be read."""

    place: Place
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


@dataclass(frozen=True)
class Found:
    place: Place
    record: JsonObject


def read_records(source: str, pieces: Iterator[str]) -> Iterator[Found | Problem]:
    """The records in a source's text, in order, and a `Problem` for each that is none.

    Behind a broken record, reading goes on where the next one plainly begins.  Where none does,
    or where `pieces` raises `OSError`, `EOFError` or `zlib.error`, the problem is the last
    thing given.  Holds at most about 5 MB of text.
    """
    return _Reader(source, pieces).records()


class _Reader:
    """`_text` is what is held of the source, `_at` where the next value begins in it."""

    def __init__(self, source: str, pieces: Iterator[str]) -> None:
        self._source = source
        self._pieces = pieces
        self._text = ""
        self._at = 0
        self._dropped = 0
        self._ended = False
        self._torn = ""
        self._in_array = False
        self._number = 0

    def records(self) -> Iterator[Found | Problem]:
        while self._find_value():
            place = self._next_place()
            value, trouble = self._value()
            if not trouble:
                yield from self._unpacked(place, value)
            elif self._skip_broken():
                yield Problem(place, f"it is not JSON ({trouble}).")
            else:
                yield Problem(place, self._torn or f"it is torn, or not JSON ({trouble}).")
                return
        if self._torn or self._in_array:
            yield Problem(self._next_place(), self._torn or "the text ends before its list of records does.")

    def _next_place(self) -> Place:
        self._number += 1
        return Place(self._source, self._number, self._dropped + self._at)

    def _find_value(self) -> bool:
        """Goes to where a value begins, into and out of arrays; False at the end of the text."""
        while True:
            while len(self._text) - self._at < _LOOK_AHEAD and self._fill():
                pass
            if between := _BETWEEN.match(self._text, self._at):
                self._at = between.end()
            if self._at == len(self._text):
                if self._ended:
                    return False
            elif self._in_array and (closing := _CLOSING.match(self._text, self._at)):
                self._at = closing.end()
                self._in_array = False
            elif (opening := _OPENING.match(self._text, self._at)) and not (
                self._in_array and opening[0] == "["
            ):
                self._at = opening.end()
                self._in_array = True
            else:
                return True

    def _value(self) -> tuple[Json, str]:
        """The value that begins here; or what is wrong with it, once more text would not help."""
        while True:
            try:
                value, self._at = _DECODER.raw_decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                held = len(self._text) - self._at
                if held >= _LONGEST or not self._fill(min(2 * held, _LONGEST - held)):
                    return None, error.msg if isinstance(error, JSONDecodeError) else "too deep or too long"
            else:
                return value, ""

    def _unpacked(self, place: Place, value: Json) -> Iterator[Found | Problem]:
        """The record, or those of a log whose first name was not `Records`."""
        records = value.get("Records") if isinstance(value, dict) else None
        for index, item in enumerate(records if isinstance(records, list) else [value]):
            where = place if index == 0 else self._next_place()
            yield Found(where, item) if isinstance(item, dict) else Problem(where, "it is not a JSON object.")

    def _skip_broken(self) -> bool:
        """Goes behind the broken value, where the next one seems to begin; False where none does."""
        pattern = _NEXT_IN_ARRAY if self._in_array else _NEXT_LINE
        end = _end_of_value(self._text, self._at) if self._in_array else None
        while True:
            if following := pattern.search(self._text, self._at + 1):
                self._at = following.end()
                return True
            if end is not None and end > self._at:
                self._at = end
                return True
            self._at = max(self._at, len(self._text) - _LOOK_AHEAD)
            if not self._fill():
                return False

    def _fill(self, size: int = 1) -> bool:
        """Takes in `size` characters or more, if there are any; False at the end of the text."""
        parts = [self._text[self._at :]]
        self._dropped += self._at
        self._at = 0
        while size > 0 and not self._ended:
            try:
                piece = next(self._pieces)
            except StopIteration:
                self._ended = True
            except (OSError, EOFError, zlib.error) as error:
                self._ended = True
                self._torn = f"the file cannot be read on ({error})."
            else:
                parts.append(piece)
                size -= len(piece)
        self._text = "".join(parts)
        return len(parts) > 1


def _end_of_value(text: str, start: int) -> int | None:
    """Where the object or array that begins at `start` ends by its brackets, if it does.

    A closing bracket ends what was left open within; one that closes nothing here is not passed.
    """
    still_open: list[str] = []
    for token in _TOKEN.finditer(text, start):
        if token[0] in "[{":
            still_open.append(token[0])
        elif token[0] in "]}":
            opening = "[" if token[0] == "]" else "{"
            if opening not in still_open:
                return token.start()
            while still_open.pop() != opening:
                pass
            if not still_open:
                return token.end()
    return None
