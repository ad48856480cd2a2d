"""The REST interface, path by path, as Confluent's clients call it."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keytrail.deploy.embedded.registry import errors
from keytrail.deploy.embedded.registry.compatibility import parse_level
from keytrail.deploy.embedded.registry.errors import RegistryError
from keytrail.deploy.embedded.registry.records import SchemaRecord
from keytrail.deploy.embedded.registry.service import LATEST, Registry

_MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
_MAX_BODY_BYTES = 1_000_000
_MAX_VERSION = 2**31 - 1

Json = dict[str, object] | list[dict[str, object]] | list[str] | list[int] | int


@dataclass(frozen=True)
class _Call:
    """A request with its body read: what a handler gets."""

    request: Request
    body: dict[str, object]

    @property
    def subject(self) -> str:
        return str(self.request.path_params["subject"])

    @property
    def optional_subject(self) -> str | None:
        return self.request.path_params.get("subject")

    @property
    def schema_id(self) -> int:
        return int(self.request.path_params["schema_id"])

    @property
    def version(self) -> int:
        """A version's number, or `LATEST`; raises `RegistryError` (42202)."""
        text = str(self.request.path_params["version"])
        if text in ("latest", "-1"):
            return LATEST
        if text.isascii() and text.isdigit() and 0 < int(text) <= _MAX_VERSION:
            return int(text)
        raise RegistryError(
            errors.INVALID_VERSION,
            f"The specified version '{text}' is not a valid version id. Allowed values are between"
            f' [1, 2^31-1] and the string "latest".',
        )

    def flag(self, name: str) -> bool:
        return self.request.query_params.get(name, "").lower() == "true"

    def page(self, items: list[str] | list[int]) -> Json:
        """As `offset` and `limit` ask; a negative limit means all."""
        offset = self._number("offset", 0)
        limit = self._number("limit", -1)
        return items[max(offset, 0) :][: limit if limit >= 0 else None]

    def _number(self, name: str, default: int) -> int:
        try:
            return int(self.request.query_params.get(name, default))
        except ValueError:
            raise RegistryError(errors.BAD_REQUEST, f"{name} must be a number.") from None

    @property
    def schema(self) -> str:
        """The text of the schema in the body; raises `RegistryError` for what is not kept here."""
        kind = self.body.get("schemaType") or "AVRO"
        if kind != "AVRO":
            raise RegistryError(errors.INVALID_SCHEMA, f"Invalid schema type {kind}: only AVRO is kept here.")
        for unsupported in ("references", "metadata", "ruleSet"):
            if self.body.get(unsupported):
                raise RegistryError(errors.INVALID_SCHEMA, f"Schemas with {unsupported} are not kept here.")
        text = self.body.get("schema")
        if not isinstance(text, str) or not text:
            raise RegistryError(errors.INVALID_SCHEMA, "Invalid schema: the body has no text in `schema`.")
        return text


Handler = Callable[[_Call], Json]


def create_app(registry: Registry) -> Starlette:
    """The ASGI application for a registry."""
    return Starlette(
        routes=[
            _route("/", GET=lambda _: {}),
            *_schema_routes(registry),
            *_subject_routes(registry),
            *_compatibility_routes(registry),
            _route("/mode", GET=lambda _: {"mode": "READWRITE"}),
            _route("/mode/{subject:path}", GET=lambda _: {"mode": "READWRITE"}),
        ],
        exception_handlers={HTTPException: _refuse, Exception: _refuse},
    )


def _schema_routes(registry: Registry) -> list[Route]:
    def uses(call: _Call) -> list[SchemaRecord]:
        only = call.request.query_params.get("subject")
        found = registry.uses(call.schema_id, call.flag("deleted"))
        return [record for record in found if only in (None, record.subject)]

    return [
        _route("/schemas/types", GET=lambda _: ["AVRO"]),
        _route("/schemas/ids/{schema_id:int}", GET=lambda c: {"schema": registry.schema_text(c.schema_id)}),
        _route("/schemas/ids/{schema_id:int}/schema", GET=lambda c: _raw(registry.schema_text(c.schema_id))),
        _route(
            "/schemas/ids/{schema_id:int}/subjects",
            GET=lambda c: c.page(sorted({record.subject for record in uses(c)})),
        ),
        _route(
            "/schemas/ids/{schema_id:int}/versions",
            GET=lambda c: [{"subject": r.subject, "version": r.version} for r in uses(c)],
        ),
    ]


def _subject_routes(registry: Registry) -> list[Route]:
    def subjects(call: _Call) -> Json:
        prefix = call.request.query_params.get("subjectPrefix", "")
        found = registry.subjects(call.flag("deleted"))
        return call.page([subject for subject in found if subject.startswith(prefix)])

    def register(call: _Call) -> Json:
        return {"id": registry.register(call.subject, call.schema, call.flag("normalize"))}

    def look_up(call: _Call) -> Json:
        flags = call.flag("normalize"), call.flag("deleted")
        return _described(registry.look_up(call.subject, call.schema, *flags))

    def version(call: _Call) -> SchemaRecord:
        return registry.version(call.subject, call.version, call.flag("deleted"))

    def references(call: _Call) -> Json:
        version(call)
        return []

    at_version = "/subjects/{subject:path}/versions/{version}"
    return [
        _route("/subjects", GET=subjects),
        _route(f"{at_version}/schema", GET=lambda c: _raw(version(c).text)),
        _route(f"{at_version}/referencedby", GET=references),
        _route(
            at_version,
            GET=lambda c: _described(version(c)),
            DELETE=lambda c: registry.delete_version(c.subject, c.version, c.flag("permanent")),
        ),
        _route(
            "/subjects/{subject:path}/versions",
            GET=lambda c: c.page(registry.versions(c.subject, c.flag("deleted"))),
            POST=register,
        ),
        _route(
            "/subjects/{subject:path}",
            POST=look_up,
            DELETE=lambda c: list(registry.delete_subject(c.subject, c.flag("permanent"))),
        ),
    ]


def _compatibility_routes(registry: Registry) -> list[Route]:
    def judge(call: _Call, version: int | None) -> Json:
        reasons = registry.judge(call.subject, version, call.schema, call.flag("normalize"))
        verdict: dict[str, object] = {"is_compatible": not reasons}
        return {**verdict, "messages": reasons} if call.flag("verbose") else verdict

    def level(call: _Call) -> Json:
        return {"compatibilityLevel": registry.level(call.optional_subject, call.flag("defaultToGlobal"))}

    def set_level(call: _Call) -> Json:
        chosen = parse_level(str(call.body.get("compatibility")))
        registry.set_level(call.optional_subject, chosen)
        return {"compatibility": chosen}

    def unset_level(call: _Call) -> Json:
        return {"compatibilityLevel": registry.unset_level(call.optional_subject)}

    subject = "/compatibility/subjects/{subject:path}/versions"
    return [
        _route(subject + "/{version}", POST=lambda c: judge(c, c.version)),
        _route(subject, POST=lambda c: judge(c, None)),
        _route("/config", GET=level, PUT=set_level, DELETE=unset_level),
        _route("/config/{subject:path}", GET=level, PUT=set_level, DELETE=unset_level),
    ]


def _described(record: SchemaRecord) -> Json:
    return {
        "subject": record.subject,
        "version": record.version,
        "id": record.schema_id,
        "schema": record.text,
    }


def _raw(text: str) -> Json:
    parsed: Json = json.loads(text)  # a schema: an object, a list or a name
    return parsed


def _route(path: str, **handlers: Handler) -> Route:
    async def endpoint(request: Request) -> Response:
        try:
            body = await _read_body(request) if request.method in ("POST", "PUT") else {}
            handler = handlers["GET" if request.method == "HEAD" else request.method]
            return _answer(await run_in_threadpool(handler, _Call(request, body)))
        except RegistryError as error:
            return _answer({"error_code": error.code, "message": error.message}, error.status)

    return Route(path, endpoint, methods=list(handlers))


async def _read_body(request: Request) -> dict[str, object]:
    # A web page of another origin can send no such type without asking first, and is not answered.
    if "json" not in request.headers.get("content-type", ""):
        raise RegistryError(errors.UNSUPPORTED_MEDIA, f"The Content-Type must be {_MEDIA_TYPE}.")
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > _MAX_BODY_BYTES:
            raise RegistryError(errors.BAD_REQUEST, f"The body is larger than {_MAX_BODY_BYTES} bytes.")
    try:
        body = json.loads(received)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise RegistryError(errors.BAD_REQUEST, "The body is not a JSON object.")
    return body


def _answer(content: Json, status: int = 200) -> Response:
    return Response(json.dumps(content), status, media_type=_MEDIA_TYPE)


async def _refuse(_request: Request, error: Exception) -> Response:
    status, detail = (error.status_code, error.detail) if isinstance(error, HTTPException) else (500, "")
    return _answer({"error_code": status, "message": f"HTTP {status} {detail}".rstrip()}, status)
