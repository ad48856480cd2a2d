"""One real Kafka with its registry for all tests of this folder."""

from collections.abc import Iterator

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from confluent_kafka.schema_registry import SchemaRegistryClient
from embedded_support import ONLY_CLICKHOUSE_EXTERNAL, RunningStack, start_stack


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    stack = start_stack(tmp_path_factory.mktemp("engines") / "data", ONLY_CLICKHOUSE_EXTERNAL)
    yield stack
    stack.stop()


@pytest.fixture
def topic(engines: RunningStack, request: pytest.FixtureRequest) -> str:
    """A topic of this test's own."""
    name = f"t-{abs(hash(request.node.nodeid))}"
    admin = AdminClient({"bootstrap.servers": engines.bootstrap})
    admin.create_topics([NewTopic(name, num_partitions=2)])[name].result(60)
    return name


@pytest.fixture
def registry(engines: RunningStack) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": engines.registry_url}) as client:
        yield client


@pytest.fixture
def subject(request: pytest.FixtureRequest) -> str:
    """A subject of this test's own."""
    return f"s-{abs(hash(request.node.nodeid))}"
