"""The target of a webhook, and one try to send to it.

Where a host's address is of a private network, nothing is sent unless that is allowed: what is forwarded must
not reach services inside by a name that somebody else controls.  The address that was looked at is the one
that is connected to.  Redirects are not followed, since they would lead elsewhere.
"""

import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import SplitResult, urlsplit

import urllib3

from keytrail.schemas.errors import UsageError

_MOST_RETRY_AFTER_S = 3_600.0
_LATER = {408, 425, 429}


class Outcome(Enum):
    TAKEN = "taken"
    LATER = "later"  # another try may work
    REFUSED = "refused"  # the target says that the message itself is wrong


@dataclass(frozen=True)
class Answer:
    """`retry_after_s` is what the target asks for; None where it says nothing.  `said` holds no secret."""

    outcome: Outcome
    said: str
    retry_after_s: float | None = None


@dataclass(frozen=True)
class Target:
    """Where to send; the URL may hold a secret and is not shown.  An answer's body is not read."""

    url: str = field(repr=False)
    allow_private: bool = False
    connect_timeout_s: float = 5.0
    timeout_s: float = 15.0

    def __post_init__(self) -> None:
        """Raises `UsageError` for a URL that nothing should be sent to."""
        parts = _parts(self.url)
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.username is not None:
            raise UsageError("The webhook's URL is none.", "Write it as https://HOST/PATH, without a user.")
        if parts.scheme == "http" and not self.allow_private:
            raise UsageError(
                "The webhook's URL is http, which anybody on the way can read.",
                "Use https; within your own network, say --allow-private.",
            )

    @property
    def host(self) -> str:
        return _parts(self.url).hostname or ""

    def send(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """One try.  Blocks for `connect_timeout_s` and `timeout_s` at most for each wait.  Never raises for
        what the target or the network does.
        """
        parts = _parts(self.url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            address = self._address(port)
        except OSError as error:
            return Answer(Outcome.LATER, f"its name is not known ({type(error).__name__})")
        if address is None:
            return Answer(Outcome.LATER, "its address is of a private network (--allow-private allows that)")
        path = parts.path or "/"
        with self._pool(parts, address, port) as pool:
            try:
                answer = pool.request(
                    "POST",
                    f"{path}?{parts.query}" if parts.query else path,
                    body=body,
                    headers={"Host": parts.netloc, "Content-Type": "application/json", **headers},
                    redirect=False,
                    retries=False,
                    preload_content=False,
                    timeout=urllib3.Timeout(connect=self.connect_timeout_s, read=self.timeout_s),
                )
            except (urllib3.exceptions.HTTPError, OSError) as error:
                return Answer(Outcome.LATER, f"no answer ({type(error).__name__})")
            finally:
                pool.close()
        return _judged(answer.status, answer.headers.get("Retry-After"))

    def _address(self, port: int) -> str | None:
        """The first address of the host; None where it has one that is not allowed."""
        found = [str(info[4][0]) for info in socket.getaddrinfo(self.host, port, type=socket.SOCK_STREAM)]
        is_private = any(not ipaddress.ip_address(one.partition("%")[0]).is_global for one in found)
        return None if is_private and not self.allow_private else found[0]

    def _pool(self, parts: SplitResult, address: str, port: int) -> urllib3.HTTPConnectionPool:
        if parts.scheme == "http":
            return urllib3.HTTPConnectionPool(address, port)
        return urllib3.HTTPSConnectionPool(
            address, port, server_hostname=self.host, assert_hostname=self.host, cert_reqs="CERT_REQUIRED"
        )


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise UsageError("The webhook's URL is none.", "Write it as https://HOST/PATH.") from error
    return parts


def _judged(status: int, retry_after: str | None) -> Answer:
    said = f"HTTP {status}"
    if 200 <= status < 300:
        return Answer(Outcome.TAKEN, said)
    if status >= 500 or status in _LATER:
        return Answer(Outcome.LATER, said, _seconds(retry_after))
    return Answer(Outcome.REFUSED, said)


def _seconds(retry_after: str | None) -> float | None:
    """Of a Retry-After in seconds; one that is a date counts as nothing said."""
    text = (retry_after or "").strip()
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        return None
    return min(float(text), _MOST_RETRY_AFTER_S)
