"""Secrets of keys, after all that is done with them: in no topic, table, log, error or command line."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from confluent_kafka.admin import AdminClient
from running import Pipeline
from waiting import wait_until

from keytrail.producers import AuditTrail
from keytrail.producers.committed import read_committed
from keytrail.schemas.masters import read_secrets
from keytrail.schemas.settings import Settings
from keytrail.schemas.signature import SigningKey

WHY = ("--reason", "test", "--actor", "anna")
KEPT_IN = {"masters.json", "admin-key"}


def contents(settings: Settings) -> Iterator[tuple[str, bytes]]:
    """Where bytes are kept or shown, and which: records of all topics, files, command lines."""
    admin = AdminClient(settings.kafka.client())
    for topic in admin.list_topics(timeout=60).topics:
        for message in read_committed(settings.kafka, topic) if topic.startswith("keytrail.") else ():
            headers = [value for _, value in message.headers() or []]
            yield topic, b"\n".join(part or b"" for part in (message.key(), message.value(), *headers))
    for file in settings.data_dir.rglob("*"):
        if file.is_file() and file.name not in KEPT_IN:
            try:
                yield str(file), file.read_bytes()
            except FileNotFoundError:  # an engine tidies up meanwhile
                continue
    for process in psutil.process_iter(["cmdline"]):
        yield f"process {process.pid}", "\n".join(process.info["cmdline"] or []).encode()


def written(secret: bytes) -> set[bytes]:
    """A secret in each form that it could have."""
    coded = {base64.b64encode(secret), base64.urlsafe_b64encode(secret), secret.hex().encode()}
    return {secret, *(form.rstrip(b"=") for form in coded)}


def test_a_secret_is_shown_once_and_kept_nowhere(
    pipeline: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    issue = ("keys", "issue", "--owner", "sam", "--kind", "service", "--scope-actions", "suspend_key")
    assert pipeline.command(*issue, "--secret", *WHY) == 0
    key_id, token = capsys.readouterr().out.splitlines()
    with AuditTrail("billing", settings=pipeline.settings, spool=tmp_path) as trail:
        trail.use("reader", key=token, actor="sam", reason=f"with {token}", attributes={"token": token})
        wait_until(lambda: trail.stats().delivered == 1)
    assert pipeline.command("keys", "secret", key_id, *WHY) == 0
    renewed = capsys.readouterr().out.strip()

    # A change that is allowed and one that is refused, each with the secret in the environment.
    said, lines = b"", []
    for verb, code in (("suspend", 0), ("revoke", 1)):
        command = [sys.executable, "-m", "keytrail.cli.main", "keys", verb, key_id, *WHY]
        process = subprocess.Popen(
            [*command, "--data-dir", str(pipeline.data_dir)],
            env=os.environ | {"KEYTRAIL_KEY_SECRET": renewed},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        lines.append(Path(f"/proc/{process.pid}/cmdline").read_bytes())
        said += process.communicate(timeout=120)[0]
        assert process.returncode == code, said
    assert pipeline.command("keys", "show", key_id, "--json") == 0
    assert pipeline.command("report", "chain", "--param", f"key_id={key_id}", "--json") == 0
    suspended = "SELECT key_id, signature FROM events WHERE action = 'suspend_key'"
    wait_until(lambda: len(pipeline.clickhouse.rows(suspended)) > 0)
    assert [tuple(row.values()) for row in pipeline.clickhouse.rows(suspended)] == [(key_id, "verified")]
    rows = json.dumps([dict(row) for row in pipeline.clickhouse.rows("SELECT * FROM events")])

    admin = SigningKey.of_token((pipeline.data_dir / "admin-key").read_text())
    holders = [admin, SigningKey.of_token(token), SigningKey.of_token(renewed)]
    secrets = [*read_secrets(pipeline.settings.masters).values(), *(key.secret for key in holders)]
    forms = {form for secret in secrets for form in written(secret)}
    shown = [("shown", capsys.readouterr().out.encode()), ("said", said), ("rows", rows.encode())]
    places = [*shown, *(("command line", line) for line in lines), *contents(pipeline.settings)]
    spool = [(str(file), file.read_bytes()) for file in tmp_path.rglob("*") if file.is_file()]
    assert {name for name, content in (*places, *spool) if any(form in content for form in forms)} == set()
    assert len({name for name, _ in places if name.startswith("keytrail.")}) > 3
