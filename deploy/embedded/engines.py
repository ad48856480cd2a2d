"""Which engines the embedded stack runs itself, and as which parts."""

import os
import secrets
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from keytrail.deploy.embedded.gateway.config import PASSWORD_VARIABLE
from keytrail.deploy.embedded.kafka import DEFAULT_HEAP, KafkaNode
from keytrail.deploy.embedded.kafka_image import find_image
from keytrail.deploy.embedded.maven import kafka_cache
from keytrail.deploy.embedded.part import Part
from keytrail.deploy.embedded.ports import HOST, Ports, claim, free_port
from keytrail.deploy.embedded.ready import http_answers, kafka_answers
from keytrail.schemas.readers import READERS_FILE, ReaderFile
from keytrail.schemas.settings import configured

STACK_USER = "keytrail"
SCHEMAS_TOPIC = "_schemas"
EXTERNAL_SCHEMAS_TOPIC = "keytrail.schemas"


@dataclass(frozen=True)
class Engines:
    """The engines' addresses, the parts that serve the embedded ones, and work for later (`chores`).

    `clickhouse_password` is that of the stack itself, where ClickHouse does not answer everybody.
    """

    kafka_bootstrap: str
    registry_url: str
    clickhouse_url: str
    clickhouse_password: str = field(repr=False)
    parts: tuple[Part, ...]
    chores: tuple[Part, ...]

    @property
    def addresses(self) -> dict[str, str]:
        """By their names in `stack.json`."""
        return {
            "kafka_bootstrap": self.kafka_bootstrap,
            "registry_url": self.registry_url,
            "clickhouse_url": self.clickhouse_url,
            **(
                {"clickhouse_user": STACK_USER, "clickhouse_password": self.clickhouse_password}
                if self.clickhouse_password
                else {}
            ),
        }

    @property
    def env(self) -> dict[str, str]:
        """The same for the environment of a process that is to use these engines."""
        return {f"KEYTRAIL_{name.upper()}": address for name, address in self.addresses.items()}


def plan_engines(
    data_dir: Path, ports: Ports, report: Callable[[str], None], env: Mapping[str, str] = os.environ
) -> Engines:
    """An engine whose address is configured (`KEYTRAIL_KAFKA_BOOTSTRAP`, ...) is external: it gets no part.

    For an embedded Kafka its jars are fetched and checked here, which takes a while the first time.
    Raises `UsageError` for a port that cannot be used, and what `JarCache.ensure` raises.
    """
    plan = _Plan(data_dir, ports, report, env)
    # In the order of launch: ClickHouse needs none of the others and loads longest.
    clickhouse = configured("clickhouse", "url", env) or plan.add_clickhouse()
    kafka = configured("kafka", "bootstrap", env) or plan.add_kafka()
    registry = configured("registry", "url", env) or plan.add_registry(kafka)
    plan.fetch()  # last: a taken port shows before a download
    return Engines(kafka, registry, clickhouse, plan.password, tuple(plan.parts), tuple(plan.chores))


class _Plan:
    def __init__(
        self, data_dir: Path, ports: Ports, report: Callable[[str], None], env: Mapping[str, str]
    ) -> None:
        self._data_dir = data_dir
        self._ports = ports
        self._report = report
        self._env = env
        self.fetch: Callable[[], None] = lambda: None
        self.password = ""
        self.parts: list[Part] = []
        self.chores: list[Part] = []

    def add_clickhouse(self) -> str:
        port = claim(self._ports.clickhouse, "clickhouse", "--clickhouse-port")
        url = f"http://{HOST}:{port}"
        readers = self._data_dir / READERS_FILE
        command = _python(
            *("gateway", "--data-dir", str(self._data_dir / "clickhouse"), "--port", str(port)),
            *("--host", HOST, "--readers", str(readers)),
            *("--database", configured("clickhouse", "database", self._env) or "keytrail"),
        )
        env = {}
        if ReaderFile(readers).current():
            # Where somebody may only read, nobody gets in without saying who it is.
            self.password = secrets.token_urlsafe(32)
            command = (*command, "--user", STACK_USER)
            env = {PASSWORD_VARIABLE: self.password}
        self.parts.append(
            Part(
                "clickhouse",
                command,
                env=env,
                is_ready=lambda: http_answers(f"{url}/ping"),
                port=port,
            )
        )
        return url

    def add_kafka(self) -> str:
        cache = kafka_cache(self._report, self._env)
        self.fetch = cache.ensure
        node = KafkaNode(
            folder=self._data_dir / "kafka",
            port=claim(self._ports.kafka, "kafka", "--kafka-port"),
            controller_port=free_port(),
            jars=cache.paths,
            image=find_image(cache),
            heap=configured("embedded", "kafka_heap", self._env) or DEFAULT_HEAP,
        )
        self.parts.append(
            Part(
                "kafka",
                node.command(),
                env=node.env,
                before_start=node.prepare,
                is_ready=lambda: kafka_answers(node.bootstrap),
                port=node.port,
            )
        )
        if node.image is None:
            self.chores.append(Part("kafka-image", _python("kafka_image", str(node.scratch / "image"))))
        return node.bootstrap

    def add_registry(self, kafka: str) -> str:
        # In somebody else's Kafka the usual topic may be that of somebody else's registry.
        topic = EXTERNAL_SCHEMAS_TOPIC if configured("kafka", "bootstrap", self._env) else SCHEMAS_TOPIC
        port = claim(self._ports.registry, "registry", "--registry-port")
        url = f"http://{HOST}:{port}"
        self.parts.append(
            Part(
                "registry",
                _python("registry", "--kafka", kafka, "--topic", topic, "--port", str(port), "--host", HOST),
                is_ready=lambda: http_answers(f"{url}/subjects"),
                port=port,
            )
        )
        return url


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"keytrail.deploy.embedded.{module}", *arguments)
