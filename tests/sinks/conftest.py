"""TEMPORARY while developing: a stack of this folder's own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sink_support import wait_until

from keytrail.schemas.settings import Settings, load_settings

PREP = """
from keytrail.deploy.topics import create_topics
from keytrail.schemas import avro, topics as t
from keytrail.schemas.registry import Registry
from keytrail.sinks.clickhouse.migrate import migrate
create_topics(settings.kafka)
r=Registry(settings.registry)
pairs = ((t.EVENTS,"event"),(t.ENRICHED,"enriched"),(t.KEYS,"key"),
 (t.SIGNALS,"signal"),(t.ANOMALIES,"anomaly"),(t.DEAD_LETTERS,"deadletter"))
for topic,n in pairs: r.register(topic,avro.schema_text(n))
migrate(settings)
"""


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    data_dir = tmp_path_factory.mktemp("stack") / "data"
    program = Path(__file__).parents[1] / "embedded" / "stack_program.py"
    env = {k: v for k, v in os.environ.items() if not k.startswith("KEYTRAIL_")}
    process = subprocess.Popen(
        [sys.executable, str(program), "--data-dir", str(data_dir), "--prepare", PREP], env=env
    )
    wait_until((data_dir / "stack.json").exists, "the stack is up")
    yield load_settings(data_dir=data_dir, env={})
    process.send_signal(signal.SIGTERM)
    process.wait(60)
