"""Kafka, the schema registry and ClickHouse in containers, at the versions of `deploy/compose.yaml`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from testcontainers.clickhouse import ClickHouseContainer
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network
from testcontainers.core.wait_strategies import HttpWaitStrategy
from testcontainers.kafka import KafkaContainer

from keytrail.schemas.settings import HttpSettings

_COMPOSE = yaml.safe_load((Path(__file__).parents[1] / "deploy" / "compose.yaml").read_text())
_REGISTRY_PORT = 8081


@contextmanager
def running_containers() -> Iterator[tuple[str, str, HttpSettings]]:
    """Kafka's address, the registry's URL and ClickHouse's settings, until the block ends."""
    images = {name: _COMPOSE["services"][name]["image"] for name in ("kafka", "registry", "clickhouse")}
    with Network() as network:
        kafka = (
            KafkaContainer(images["kafka"]).with_kraft().with_network(network).with_network_aliases("kafka")
        )
        with kafka, ClickHouseContainer(images["clickhouse"]) as clickhouse:
            registry = (
                DockerContainer(images["registry"])
                .with_network(network)
                .with_exposed_ports(_REGISTRY_PORT)
                .with_env("SCHEMA_REGISTRY_HOST_NAME", "registry")
                .with_env("SCHEMA_REGISTRY_KAFKASTORE_BOOTSTRAP_SERVERS", "PLAINTEXT://kafka:9092")
                .with_env("SCHEMA_REGISTRY_SCHEMA_COMPATIBILITY_LEVEL", "full_transitive")
                .waiting_for(HttpWaitStrategy(_REGISTRY_PORT, "/subjects"))
            )
            with registry:
                registry_url = (
                    f"http://{registry.get_container_host_ip()}:{registry.get_exposed_port(_REGISTRY_PORT)}"
                )
                http = f"http://{clickhouse.get_container_host_ip()}:{clickhouse.get_exposed_port(8123)}"
                yield (
                    kafka.get_bootstrap_server(),
                    registry_url,
                    HttpSettings(http, clickhouse.username, clickhouse.password),
                )
