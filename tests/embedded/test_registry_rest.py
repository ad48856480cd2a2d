"""The embedded registry's REST interface where Confluent's client does not go."""

import http.client
import json
import urllib.parse

import pytest
from embedded_support import RunningStack

JSON = {"Content-Type": "application/vnd.schemaregistry.v1+json"}


def call(
    engines: RunningStack, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
) -> tuple[int, object]:
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(engines.registry_url).netloc, timeout=60)
    sent = None if body is None else body if isinstance(body, bytes) else json.dumps(body)
    try:
        connection.request(method, path, sent, JSON if headers is None else headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_reasons_are_given_when_asked_for(engines: RunningStack, subject: str) -> None:
    path = f"/compatibility/subjects/{subject}/versions/latest"
    assert call(engines, "POST", path, {"schema": '"int"'}) == (200, {"is_compatible": True})
    assert call(engines, "POST", f"/subjects/{subject}/versions", {"schema": '"int"'})[0] == 200
    assert call(engines, "POST", path, {"schema": '"string"'}) == (200, {"is_compatible": False})
    status, verdict = call(engines, "POST", f"{path}?verbose=true", {"schema": '"string"'})
    assert status == 200
    assert verdict == {
        "is_compatible": False,
        "messages": [
            "the new schema cannot read data of version 1: type mismatch"
            " (reader type: string not compatible with writer type: int) at /",
            "version 1 cannot read data of the new schema: type mismatch"
            " (reader type: int not compatible with writer type: string) at /",
        ],
    }
    assert call(engines, "POST", path.replace("latest", "7"), {"schema": '"int"'})[1] == {
        "error_code": 40402,
        "message": "Version 7 not found.",
    }


def test_a_schema_is_served_as_itself(engines: RunningStack, subject: str) -> None:
    schema = {"type": "enum", "name": "Kind", "symbols": ["HUMAN", "SERVICE"]}
    _, registered = call(engines, "POST", f"/subjects/{subject}/versions", {"schema": json.dumps(schema)})
    assert isinstance(registered, dict)
    assert call(engines, "GET", f"/schemas/ids/{registered['id']}/schema") == (200, schema)
    assert call(engines, "GET", f"/subjects/{subject}/versions/latest/schema") == (200, schema)
    assert call(engines, "GET", f"/subjects/{subject}/versions/1/referencedby") == (200, [])


def test_normalizing_stores_the_canonical_text(engines: RunningStack, subject: str) -> None:
    loose = '{"name": "N", "fields": [{"type": {"type": "int"}, "name": "x"}], "type": "record"}'
    status, _ = call(engines, "POST", f"/subjects/{subject}/versions?normalize=true", {"schema": loose})
    _, stored = call(engines, "GET", f"/subjects/{subject}/versions/1")
    assert status == 200
    assert isinstance(stored, dict)
    assert stored["schema"] == '{"fields":[{"name":"x","type":"int"}],"name":"N","type":"record"}'


def test_a_subject_may_hold_a_slash(engines: RunningStack, subject: str) -> None:
    path = f"/subjects/team%2F{subject}/versions"
    assert call(engines, "POST", path, {"schema": '"int"'})[0] == 200
    assert call(engines, "GET", path) == (200, [1])
    assert call(engines, "GET", f"/subjects?subjectPrefix=team/{subject}") == (200, [f"team/{subject}"])


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ({"schema": '"int"'}, {"Content-Type": "text/plain"}, 415),  # what a web page may send unasked
        (b"{", JSON, 422),
        (b"[]", JSON, 422),
        ({}, JSON, 422),
        ({"schema": 5}, JSON, 422),
        ({"schema": '"int"', "references": [{"name": "a", "subject": "b", "version": 1}]}, JSON, 422),
        (b'{"schema": "' + b" " * 2_000_000 + b'"}', JSON, 422),
    ],
)
def test_a_bad_body_is_refused(
    engines: RunningStack, subject: str, body: object, headers: dict[str, str], status: int
) -> None:
    answered, error = call(engines, "POST", f"/subjects/{subject}/versions", body, headers)
    assert answered == status
    assert isinstance(error, dict)
    assert error["error_code"] // 100 == status or error["error_code"] == status


def test_what_is_not_served_says_so_in_json(engines: RunningStack) -> None:
    assert call(engines, "GET", "/nothing") == (404, {"error_code": 404, "message": "HTTP 404 Not Found"})
    assert call(engines, "PUT", "/mode", {"mode": "READONLY"})[0] == 405
