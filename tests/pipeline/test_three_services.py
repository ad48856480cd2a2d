"""One key, issued at the edge, followed through three services that call one another."""

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from running import Pipeline
from scratch_stack import running_stack
from waiting import wait_until

from keytrail.deploy.embedded.ports import free_port
from keytrail.schemas.settings import read_stack

PAGE = Path(__file__).parents[2] / "docs" / "otlp.md"
PROGRAM = Path(__file__).with_name("traced_service.py")
WHY = ("--reason", "test", "--actor", "carl")
# Both ends of a call are spans; what a service records comes within its own.
EXPECTED = [
    ("edge", "grant", "verified"),
    ("edge", "use", "claimed"),
    ("orders", "use", "claimed"),
    ("orders", "grant", "claimed"),
    ("orders", "use", "claimed"),
    ("ledger", "use", "claimed"),
    ("ledger", "grant", "claimed"),
]


@contextmanager
def service(pipeline: Pipeline, name: str, *following: str, key: str = "") -> Iterator[str]:
    port = free_port()
    stack = read_stack(pipeline.data_dir)
    env = os.environ | {
        "KEYTRAIL_KAFKA_BOOTSTRAP": pipeline.settings.kafka.bootstrap,
        "KEYTRAIL_REGISTRY_URL": pipeline.settings.registry.url,
        "OTEL_EXPORTER_OTLP_ENDPOINT": stack["otlp_http"],
        "SERVICE_KEY": key,
    }
    process = subprocess.Popen([sys.executable, str(PROGRAM), name, str(port), *following], env=env)
    url = f"http://127.0.0.1:{port}/"
    try:
        wait_until(lambda: answers(f"{url}not-there"), f"{name} answers")
        yield url
    finally:
        process.terminate()
        process.wait(60)


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()  # noqa: S310
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def chain(pipeline: Pipeline, key_id: str, capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    capsys.readouterr()
    assert pipeline.command("report", "chain", "--param", f"key_id={key_id}", "--json") == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """One that listens for OpenTelemetry too."""
    with running_stack(tmp_path_factory.mktemp("otlp") / "data", workers=1, sinks=1, otlp=True) as settings:
        yield Pipeline(settings)


def test_the_chain_of_a_key_over_three_services_is_one_answer(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    issue = ("keys", "issue", "--owner", "edge", "--kind", "service", "--secret", *WHY)
    assert pipeline.command(*issue) == 0
    key_id, token = capsys.readouterr().out.splitlines()
    with (
        service(pipeline, "ledger") as ledger,
        service(pipeline, "orders", ledger) as orders,
        service(pipeline, "edge", orders, key=token) as edge,
    ):
        urllib.request.urlopen(edge, timeout=60).close()  # noqa: S310
        wait_until(
            lambda: len(chain(pipeline, key_id, capsys)) == len(EXPECTED),
            lambda: json.dumps(chain(pipeline, key_id, capsys), indent=1),
        )
    rows = chain(pipeline, key_id, capsys)
    signatures = {
        str(row["event_id"]): row["signature"]
        for row in pipeline.clickhouse.rows("SELECT toString(event_id) AS event_id, signature FROM events")
    }
    assert [(row["service"], row["action"], signatures[str(row["event_id"])]) for row in rows] == EXPECTED
    assert {(row["key_id"], row["actor_id"], row["reason"], row["ticket"]) for row in rows} == {
        (key_id, "anna", "quarter's end", "OPS-7")
    }
    assert [row["step"] for row in rows] == list(range(1, len(rows) + 1))
    assert len({row["trace_id"] for row in rows}) == 1
    found = pipeline.clickhouse.rows("SELECT rule FROM anomalies WHERE rule = 'invalid_signature'")
    assert found == []


def test_the_page_does_what_it_says(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pipeline.command("keys", "issue", "--owner", "edge", "--kind", "service", "--secret", *WHY) == 0
    key_id, token = capsys.readouterr().out.splitlines()
    monkeypatch.setenv("KEYTRAIL_KAFKA_BOOTSTRAP", pipeline.settings.kafka.bootstrap)
    monkeypatch.setenv("KEYTRAIL_REGISTRY_URL", pipeline.settings.registry.url)
    monkeypatch.setenv("KEYTRAIL_OTLP_GRPC", read_stack(pipeline.data_dir)["otlp_grpc"])
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102
    names["serve"](token)
    names["provider"].shutdown()

    def found() -> dict[tuple[object, object], object]:
        return {
            (row["service"], row["action"]): row["signature"]
            for row in pipeline.clickhouse.rows(
                "SELECT service, action, signature FROM events "
                "WHERE key_id IN ({key:String}, 'key-finance-7') AND actor_id = 'anna'",
                params={"key": key_id},
            )
        }

    expected = {
        ("billing", "use"): "unsigned",
        ("edge", "grant"): "verified",
        ("ledger", "use"): "claimed",
    }
    wait_until(lambda: found() == expected, lambda: str(found()))
