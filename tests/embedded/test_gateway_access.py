"""A gateway with a user lets in who knows the password, however it is sent."""

from base64 import b64encode
from collections.abc import Iterator

import clickhouse_connect
import pytest
from gateway_process import GatewayProcess, running

SECRET = "pä$$ word&=%"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    secret = {"KEYTRAIL_GATEWAY_PASSWORD": SECRET}
    with running(tmp_path_factory.mktemp("data"), "--user", "auditor", env=secret) as process:
        yield process


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


def test_each_way_to_send_the_password(gateway: GatewayProcess) -> None:
    raw = SECRET.encode().decode("latin-1")
    for headers in (basic("auditor", SECRET), {"X-ClickHouse-User": "auditor", "X-ClickHouse-Key": raw}):
        assert gateway.send("SELECT 1", headers=headers).text == "1\n"
    assert gateway.send("SELECT 1", user="auditor", password=SECRET).text == "1\n"
    with clickhouse_connect.get_client(
        host="127.0.0.1", port=gateway.port, username="auditor", password=SECRET
    ) as client:
        assert client.command("SELECT 1") == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("auditor", ""),
        basic("auditor", SECRET + "x"),
        basic("default", SECRET),
        {"Authorization": "Basic !!!"},
        {"Authorization": "Bearer auditor"},
        {"X-ClickHouse-User": "auditor"},
    ],
)
def test_others_stay_outside(gateway: GatewayProcess, headers: dict[str, str]) -> None:
    reply = gateway.send("SELECT 1", headers=headers)
    assert (reply.status, reply.headers["x-clickhouse-exception-code"]) == (403, "516")
    assert "auditor" not in reply.text


def test_a_sign_of_life_needs_no_password(gateway: GatewayProcess) -> None:
    assert gateway.send(method="GET").text == "Ok.\n"
