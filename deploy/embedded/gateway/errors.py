"""ClickHouse's errors: the code, the text and the HTTP status that a server would answer with."""

import re
from enum import IntEnum
from http import HTTPStatus
from typing import Self

from keytrail.schemas.errors import KeytrailError


class ErrorCode(IntEnum):
    """The codes that the gateway raises itself or looks for; the engine raises any."""

    NOT_IMPLEMENTED = 48
    SYNTAX_ERROR = 62
    UNKNOWN_SETTING = 115
    READONLY = 164
    TOO_MANY_SIMULTANEOUS_QUERIES = 202
    QUERY_IS_TOO_LARGE = 229
    ABORTED = 236
    NOT_ENOUGH_SPACE = 243
    CORRUPTED_DATA = 246
    UNKNOWN_STATUS_OF_INSERT = 319
    ZLIB_INFLATE_FAILED = 354
    INTO_OUTFILE_NOT_ALLOWED = 358
    SESSION_NOT_FOUND = 372
    SESSION_IS_LOCKED = 373
    INVALID_SESSION_TIMEOUT = 374
    BAD_REQUEST_PARAMETER = 408
    BROTLI_READ_FAILED = 448
    ACCESS_DENIED = 497
    AUTHENTICATION_FAILED = 516
    ZSTD_DECODER_FAILED = 561
    LZ4_DECODER_FAILED = 618
    UNSUPPORTED_MEDIA_TYPE = 779
    UNKNOWN_EXCEPTION = 1002


# A server maps whole families of codes; everything else is 500.
_STATUS: dict[HTTPStatus, tuple[int, ...]] = {
    # what cannot be parsed, columns that do not fit, bad arguments, syntax, wrong data or types
    HTTPStatus.BAD_REQUEST: (
        *(6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168, 223, 321),
        *(376, 427, 441, 675, 676),
    ),
    HTTPStatus.UNAUTHORIZED: (194,),
    HTTPStatus.FORBIDDEN: (192, 193, 497, 512, 516),
    # unknown function, identifier, type, storage, table, format, query type, database, setting, role ...
    HTTPStatus.NOT_FOUND: (46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511),
    HTTPStatus.REQUEST_TIMEOUT: (159,),
    HTTPStatus.LENGTH_REQUIRED: (381,),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (229,),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: (779,),
    HTTPStatus.NOT_IMPLEMENTED: (48,),
    HTTPStatus.SERVICE_UNAVAILABLE: (76, 209, 439),
}
_BY_CODE = {code: status for status, codes in _STATUS.items() for code in codes}

_NESTED = re.compile(r"Code: \d+\. DB::Exception: (?=Code: \d+\. DB::)")
_NESTED_NAME = re.compile(r"(\(version [^()]*\))\. \([A-Z0-9_]+\)\Z")
_SPOOL = re.compile(
    r"\(in file/uri /dev/fd/\d+\): |: While executing File: data for INSERT was parsed from file"
)
_CODE = re.compile(r"Code: (\d+)\.")


class EngineError(KeytrailError):
    """A statement failed; `code` and `text` are ClickHouse's own, `text` begins with "Code: N.".

    The text may quote the statement, so it is for the client that sent it and never logged.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text

    @property
    def status(self) -> HTTPStatus:
        return _BY_CODE.get(self.code, HTTPStatus.INTERNAL_SERVER_ERROR)

    @classmethod
    def of(cls, code: ErrorCode, message: str) -> Self:
        """An error of the gateway itself, worded as the engine words its own."""
        return cls(code, f"Code: {code.value}. DB::Exception: {message} ({code.name})")

    @classmethod
    def from_engine(cls, text: str) -> Self:
        """Reads the code from the engine's text, and leaves out what only the gateway's doings put there."""
        text = _SPOOL.sub("", text)
        while _NESTED.match(text):
            text = _NESTED_NAME.sub(r"\1", _NESTED.sub("", text, count=1))
        found = _CODE.match(text)
        if not found:
            return cls.of(ErrorCode.UNKNOWN_EXCEPTION, text)
        return cls(int(found[1]), text)
