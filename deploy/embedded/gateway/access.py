"""Who may ask: the configured user, readers with a token, and no web page of another site."""

import binascii
import ipaddress
import logging
from base64 import b64decode
from collections.abc import Mapping
from hmac import compare_digest
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from keytrail.deploy.embedded.gateway.errors import EngineError, ErrorCode
from keytrail.schemas.errors import UsageError
from keytrail.schemas.readers import TOKEN_PREFIX, Reader, ReaderFile

_LOG = logging.getLogger("keytrail.gateway")


class Access:
    """Checks requests for one gateway; without `user` every client that shows no token is let in.

    Used on one event loop.

    A browser can be led by any web page to send requests to a port of its own machine, and this engine
    reads and writes files with SQL.  So requests that a browser marks as another site's are refused, and
    on a loopback address so are those for a host name that could be pointed at it from outside.
    """

    def __init__(self, host: str, user: str, password: str, readers: ReaderFile) -> None:
        self._host = host.lower()
        self._loopback = _is_loopback(self._host)
        self._user = user.encode()
        self._password = password.encode()
        self._readers = readers

    def check(self, headers: Headers, arguments: Mapping[str, str]) -> Reader | None:
        """Which reader asks; None: somebody who may do all.

        Raises `EngineError` where the request is not let in.  A token that is not, or no more, a reader's is
        never taken for somebody who needs none.
        """
        self._check_site(headers)
        user, password = _credentials(headers, arguments)
        if password.startswith(TOKEN_PREFIX):
            return self._reader(password)
        if not self._user:
            return None
        # Both are compared always, so that the time taken does not tell which was wrong.
        known = compare_digest(user, self._user) & compare_digest(password, self._password)
        if not known:
            raise _unknown()
        return None

    def _reader(self, token: bytes) -> Reader:
        try:
            reader = self._readers.find(token)
        except UsageError as error:
            _LOG.error("no reader is let in: %s", error)
            raise _unknown() from error
        if reader is None:
            raise _unknown()
        return reader

    def _check_site(self, headers: Headers) -> None:
        asked = headers.get("host", "")
        origin = headers.get("origin")
        foreign = origin is not None and urlsplit(origin).netloc.lower() != asked.lower()
        if foreign or headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
            raise EngineError.of(ErrorCode.ACCESS_DENIED, "Requests of another web site are refused.")
        if self._loopback and asked and not self._is_own_name(asked):
            raise EngineError.of(
                ErrorCode.ACCESS_DENIED, "This port answers to localhost and to IP addresses only."
            )

    def _is_own_name(self, asked: str) -> bool:
        name = (urlsplit(f"//{asked}").hostname or "").lower()
        return name in {"localhost", self._host} or name.endswith(".localhost") or _is_address(name)


def _unknown() -> EngineError:
    return EngineError.of(
        ErrorCode.AUTHENTICATION_FAILED,
        "Authentication failed: password is incorrect, or there is no user with such name.",
    )


def _credentials(headers: Headers, arguments: Mapping[str, str]) -> tuple[bytes, bytes]:
    if "x-clickhouse-user" in headers or "x-clickhouse-key" in headers:
        user, password = headers.get("x-clickhouse-user", ""), headers.get("x-clickhouse-key", "")
        return user.encode("latin-1"), password.encode("latin-1")
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            name, _, secret = b64decode(token, validate=True).partition(b":")
        except (binascii.Error, ValueError):
            return b"", b""
        return name, secret
    if scheme.lower() == "bearer":
        return b"", token.strip().encode("latin-1")
    return (
        arguments.get("user", "").encode(errors="surrogateescape"),
        arguments.get("password", "").encode(errors="surrogateescape"),
    )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)
