"""Real engines for the tests: embedded ones by default, containers with `--backend=containers`."""

import signal
from collections.abc import Iterator

import hypothesis
import pytest
from scratch_stack import running_stack

from keytrail.schemas.settings import HttpSettings, KafkaSettings, Settings

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile(
    "keytrail", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("keytrail")

# A shell that runs the tests in the background has these ignored, and every process would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--backend",
        choices=("embedded", "containers"),
        default="embedded",
        help="engines to test with; containers need a Docker engine",
    )


@pytest.fixture(scope="session")
def settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Kafka, the registry and ClickHouse with topics, schemas and tables; no worker, no sink."""
    data_dir = tmp_path_factory.mktemp("stack") / "data"
    if request.config.getoption("--backend") == "containers":
        from containers import running_containers

        with running_containers() as (kafka, registry, clickhouse):
            from keytrail.cli.prepare import prepare

            found = Settings(data_dir, KafkaSettings(kafka), HttpSettings(registry), clickhouse)
            prepare(found)
            yield found
        return
    with running_stack(data_dir, workers=0, sinks=0) as found:
        yield found
