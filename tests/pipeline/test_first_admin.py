"""Where nobody may change keys yet, several who try at once make one admin's key."""

import subprocess
import sys
from pathlib import Path

from scratch_stack import running_stack

from keytrail.cli.keys.admin import ADMIN_ACTIONS
from keytrail.producers.committed import read_committed
from keytrail.producers.key_log import read_keys
from keytrail.schemas import avro, wire
from keytrail.schemas.records import Event
from keytrail.schemas.topics import EVENTS

CALLERS = 4
SCHEMA = avro.parse(avro.schema_text("event"))
DECODE = avro.decoder(Event, SCHEMA, SCHEMA)


def test_the_first_admins_key_is_made_once(tmp_path: Path) -> None:
    with running_stack(tmp_path / "data", workers=0, sinks=0) as settings:
        command = [sys.executable, "-m", "keytrail.cli.main", "keys", "issue", "--kind", "service"]
        where = ["--reason", "first", "--data-dir", str(settings.data_dir)]
        callers = [
            subprocess.Popen(
                [
                    *command,
                    "--id",
                    f"key-{number}",
                    "--owner",
                    "robot",
                    "--actor",
                    f"caller-{number}",
                    *where,
                ],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in range(CALLERS)
        ]
        said = [caller.communicate(timeout=120) for caller in callers]
        keys = read_keys(settings).keys
        told = [
            DECODE(message.value() or b"", wire.HEADER_LENGTH)
            for message in read_committed(settings.kafka, EVENTS.name)
        ]

    [admin] = [key for key in keys.values() if key.scope_actions]
    assert admin.scope_actions == list(ADMIN_ACTIONS)
    assert sum("is the first admin's key" in err for _, err in said) == 1
    for number, (caller, (_, err)) in enumerate(zip(callers, said, strict=True)):
        # Who came too late for the first and too early for its secret is told what to do.
        assert (caller.returncode == 0) == (f"key-{number}" in keys)
        assert caller.returncode == 0 or "That is done with an admin's key" in err
    assert len(told) == len(keys)
    assert {(event.action, event.key_id) for event in told} == {("issue_key", admin.key_id)}
