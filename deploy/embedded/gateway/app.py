"""The paths of the interface, as an ASGI application."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from keytrail.deploy.embedded.gateway.handler import Handler

_OK = "Ok.\n"


def build_app(handler: Handler) -> Starlette:
    """The gateway as an ASGI application; statements go to `handler`."""
    return Starlette(
        routes=[Route("/", _Root(handler)), Route("/ping", _alive), Route("/replicas_status", _alive)],
        exception_handlers={404: _nothing_here},
    )


class _Root:
    """The path `/`: a statement, or a sign of life for whoever just looks."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        if request.method in {"GET", "HEAD"} and not request.query_params.get("query"):
            await PlainTextResponse(_OK)(scope, receive, send)
        else:
            await self._handler.answer(scope, receive, send)


async def _alive(_: Request) -> PlainTextResponse:
    return PlainTextResponse(_OK)


async def _nothing_here(request: Request, _: Exception) -> PlainTextResponse:
    return PlainTextResponse(f"There is no handle {request.url.path}. Use / to run queries.\n", 404)
