"""The pipeline under fault: real parts under the real supervisor, with proxies on every link.

Kafka has a listener for the workers and one for the sinks, each advertised at its proxy's port, so that
either can be cut off alone; the load has the plain one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from proxy import HOST, Loop, Proxy

from keytrail.cli.up import Applications
from keytrail.deploy.embedded import lock
from keytrail.deploy.embedded.engines import plan_engines
from keytrail.deploy.embedded.part import Backoff, Part
from keytrail.deploy.embedded.ports import Ports, free_port
from keytrail.deploy.embedded.state import PARTS_FILE, PartStatus, read_parts
from keytrail.deploy.embedded.supervisor import Supervisor
from keytrail.deploy.embedded.warden import Warden
from keytrail.schemas.settings import KafkaSettings, Settings, load_settings
from keytrail.schemas.topics import DEFAULT_PARTITIONS

WORKERS, SINKS = 2, 2
# A part that is killed every minute is not one that crashes in a loop.
_BACKOFF = Backoff(first_s=0.5, longest_s=4, healthy_s=15)
_START_S = 240.0


@dataclass(frozen=True)
class FaultStack:
    """`settings` lead past the proxies."""

    settings: Settings
    proxies: dict[str, Proxy]
    loop: Loop
    reports: list[str]

    def parts(self) -> dict[str, PartStatus]:
        return {part.name: part for part in read_parts(self.settings.data_dir)}


@contextmanager
def fault_stack(data_dir: Path) -> Iterator[FaultStack]:
    """Everything runs when the block begins, and has stopped when it has ended."""
    reports: list[str] = []
    held = lock.acquire(data_dir)
    engines = plan_engines(data_dir, Ports(0, 0, 0), reports.append, env={})
    settings = load_settings(
        data_dir=data_dir,
        kafka=engines.kafka_bootstrap,
        registry=engines.registry_url,
        clickhouse=engines.clickhouse_url,
        env={},
    )
    inner = {"worker-kafka-link": free_port(), "sink-kafka-link": free_port()}
    inner["clickhouse-link"], inner["registry-link"] = (
        _port(engines.clickhouse_url),
        _port(engines.registry_url),
    )
    proxies = {name: Proxy(name, free_port(), target) for name, target in inner.items()}
    loop = Loop()
    warden = Warden(held.fd, [data_dir / PARTS_FILE])

    async def start() -> Supervisor:
        for proxy in proxies.values():
            await proxy.start()
        return Supervisor(data_dir, warden, reports.append, _BACKOFF)

    supervisor: Supervisor = loop.call(start())
    try:
        listeners = _listeners(_port(f"//{engines.kafka_bootstrap}"), inner, proxies)
        parts = [_with_listeners(p, listeners) if p.name == "kafka" else p for p in engines.parts]
        loop.call(supervisor.start(parts), _START_S)
        applications = Applications(WORKERS, SINKS, DEFAULT_PARTITIONS)
        applications.prepare(settings)
        apps = [
            replace(part, env=_env(part, data_dir, proxies), is_ready=_at_once)
            for part in applications.parts()
        ]
        loop.call(supervisor.start(apps), _START_S)
        yield FaultStack(settings, proxies, loop, reports)
    finally:
        loop.call(supervisor.stop(), _START_S)
        for proxy in proxies.values():
            loop.call(proxy.stop())
        loop.stop()
        warden.dismiss()
        held.release()


def with_kafka(settings: Settings, **properties: str) -> Settings:
    """The same with these librdkafka properties (`a_b` stands for `a.b`)."""
    named = {name.replace("_", "."): value for name, value in properties.items()}
    return replace(settings, kafka=KafkaSettings(settings.kafka.bootstrap, named))


def _at_once() -> bool:
    # Not by the group's members: asking a broker that is being killed for them ends librdkafka's process.
    return True


def _env(part: Part, data_dir: Path, proxies: dict[str, Proxy]) -> dict[str, str]:
    kafka = proxies["worker-kafka-link" if part.name.startswith("worker") else "sink-kafka-link"]
    return {
        **part.env,
        "KEYTRAIL_DATA_DIR": str(data_dir),
        "KEYTRAIL_KAFKA_BOOTSTRAP": f"{HOST}:{kafka.port}",
        "KEYTRAIL_REGISTRY_URL": f"http://{HOST}:{proxies['registry-link'].port}",
        "KEYTRAIL_CLICKHOUSE_URL": f"http://{HOST}:{proxies['clickhouse-link'].port}",
    }


def _listeners(plain: int, inner: dict[str, int], proxies: dict[str, Proxy]) -> dict[str, str]:
    worker, sink = proxies["worker-kafka-link"].port, proxies["sink-kafka-link"].port
    return {
        "listeners": (
            f"PLAINTEXT://{HOST}:{plain},WORKER://{HOST}:{inner['worker-kafka-link']},"
            f"SINK://{HOST}:{inner['sink-kafka-link']},CONTROLLER://{HOST}:"
        ),
        "advertised.listeners": f"PLAINTEXT://{HOST}:{plain},WORKER://{HOST}:{worker},SINK://{HOST}:{sink}",
        "listener.security.protocol.map": (
            "PLAINTEXT:PLAINTEXT,WORKER:PLAINTEXT,SINK:PLAINTEXT,CONTROLLER:PLAINTEXT"
        ),
    }


def _with_listeners(kafka: Part, listeners: dict[str, str]) -> Part:
    """The broker's part, whose properties get these listeners before each start."""
    properties = Path(kafka.command[-1])

    def prepare() -> None:
        kafka.before_start()
        lines = properties.read_text().splitlines()
        [controller] = [line.rpartition(":")[2] for line in lines if line.startswith("listeners=")]
        kept = [line for line in lines if line.partition("=")[0] not in listeners]
        named = {**listeners, "listeners": listeners["listeners"] + controller}
        properties.write_text("\n".join([*kept, *(f"{name}={value}" for name, value in named.items()), ""]))

    return replace(kafka, before_start=prepare)


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])
