"""The client's side of one request: its body, and whether it is still there."""

from collections.abc import AsyncIterator

from starlette.types import Receive


class ClientGoneError(Exception):
    """The client closed the connection before its request was complete; there is nobody to answer."""


class Incoming:
    """Wraps ASGI's `receive` for one request; read `body` to its end before `gone`."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._complete = False

    async def body(self) -> AsyncIterator[bytes]:
        """The pieces of the body that were not read yet; raises `ClientGoneError`."""
        while not self._complete:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            self._complete = not message.get("more_body", False)
            yield message.get("body", b"")

    async def skip(self, limit_bytes: int) -> None:
        """Reads over the rest of the body, so that a client still sending comes to read the answer."""
        size = 0
        async for piece in self.body():
            size += len(piece)
            if size > limit_bytes:
                return

    async def gone(self) -> None:
        """Returns when the client has closed the connection."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
