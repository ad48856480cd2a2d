"""The page for developers: its blocks are run, one after the other, against a real Kafka."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from topic_reading import read_events

from keytrail.schemas.settings import Settings
from keytrail.schemas.signature import Masters

PAGE = Path(__file__).parents[2] / "docs" / "sdk.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


def test_the_page_does_what_it_says(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEYTRAIL_KAFKA_BOOTSTRAP", settings.kafka.bootstrap)
    monkeypatch.setenv("KEYTRAIL_REGISTRY_URL", settings.registry.url)
    names: dict[str, Any] = {}
    for block in BLOCKS:
        exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102
    names["use_signing_key"](Masters({"m1": bytes(32)}).issue("key-deploy", 1).token)

    async def request() -> None:
        scope = {
            "type": "http",
            "path": "/asgi",
            "headers": [(b"x-keytrail-key", b"key-web")],
            "user": "anna",
        }
        await names["asgi_app"](scope, None, None)

    asyncio.run(request())
    names["wsgi_app"]({"PATH_INFO": "/wsgi"}, lambda *_: None).close()
    trail = names["trail"]
    assert trail.close(60) == 0

    found = sorted(
        (event for _, event in read_events(settings, trail.producer_id, 9)), key=lambda e: e.sequence
    )
    assert [(e.action, e.subject or e.resource, e.key_id, e.actor_id, e.reason) for e in found] == [
        ("grant", "bob", "key-finance-7", "anna", "on call"),
        ("grant", "carl", "key-finance-7", "anna", "quarter's end"),
        ("revoke", "carl", "key-finance-7", "anna", "a mistake"),
        ("use", "db/ledger", "key-batch-1", "nightly-job", None),
        ("delete", "dora", "key-support-2", "support", None),
        ("grant", "eve", None, "anna", None),
        ("use", "cluster/eu-1", "key-deploy", "deploy-bot", None),
        ("use", "/asgi", "key-web", "anna", None),
        ("use", "/wsgi", None, "billing", None),
    ]
    [(_, updated)] = read_events(settings, names["payments"].producer_id, 1)
    assert updated.after == '{"iban": "[redacted]"}'
    assert "TrailStats(recorded=1" in capsys.readouterr().out


def test_each_setting_of_the_table_is_one() -> None:
    import inspect

    from keytrail.producers import AuditTrail

    table = PAGE.read_text().split("## Settings")[1]
    named = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE))))
    assert named == set(inspect.signature(AuditTrail).parameters) - {"service", "environment"}
