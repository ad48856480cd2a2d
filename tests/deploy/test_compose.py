"""The compose file and the Dockerfile say what the code understands."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from confluent_kafka import Producer

from keytrail.cli.main import COMMANDS, parser_for
from keytrail.deploy.embedded.jars import kafka_version, locked_jars
from keytrail.schemas.settings import load_settings

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
OURS = {name: service for name, service in COMPOSE["services"].items() if service["image"] == "keytrail"}


def environment(service: dict[str, dict[str, str]]) -> dict[str, str]:
    to_fill_in = re.compile(r"\$\{\w+:\?.*\}")
    return {name: to_fill_in.sub("filled-in", value) for name, value in service["environment"].items()}


@pytest.mark.parametrize("name", OURS)
def test_a_service_has_the_settings_that_the_code_reads(name: str) -> None:
    env = environment(OURS[name])
    settings = load_settings(env=env)
    read = {
        settings.kafka.bootstrap,
        settings.registry.url,
        settings.clickhouse.url,
        settings.clickhouse.user,
        settings.clickhouse.password,
        *settings.kafka.properties.values(),
        str(settings.data_dir),
    }
    assert set(env.values()) == read, "every variable is read, and every address comes from one"
    Producer(settings.kafka.client())


@pytest.mark.parametrize("name", [name for name, service in OURS.items() if "command" in service])
def test_a_service_runs_a_command_that_exists(name: str) -> None:
    command = OURS[name]["command"]
    assert command[0] in COMMANDS
    parser_for(command[0]).parse_args(command)


def test_addresses_name_services_of_the_file() -> None:
    for service in OURS.values():
        for value in environment(service).values():
            if match := re.fullmatch(r"(?:http://)?([a-z]+):\d+", value):
                assert match[1] in COMPOSE["services"]


def test_two_workers_and_a_sink_wait_for_the_preparation() -> None:
    assert {name for name, service in OURS.items() if service.get("command", [""])[0] == "worker"} == {
        "worker-1",
        "worker-2",
    }
    for name in ("worker-1", "worker-2", "sink"):
        assert OURS[name]["depends_on"] == {"prepare": {"condition": "service_completed_successfully"}}


@pytest.mark.parametrize("name", OURS)
def test_secrets_outlive_the_container_and_are_its_users_own(name: str) -> None:
    folder = load_settings(env=environment(OURS[name])).data_dir
    assert OURS[name]["volumes"] == [f"keytrail:{folder}"]
    assert "keytrail" in COMPOSE["volumes"]
    assert f"install -d -o keytrail -m 700 {folder}\n" in (ROOT / "deploy" / "Dockerfile").read_text()


def test_no_port_is_open_to_other_machines() -> None:
    published = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert {"127.0.0.1:4317:4317", "127.0.0.1:4318:4318"} <= set(published)
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_commands_in_its_head_are_ones_that_exist() -> None:
    head = (ROOT / "deploy" / "compose.yaml").read_text().split("name:")[0]
    commands = re.findall(r"run --rm .*?keytrail (.+)$", head, re.MULTILINE)
    assert len(commands) == 4
    for command in commands:
        words = shlex.split(command)
        parser_for(words[0]).parse_args(words)


def test_kafka_is_the_version_that_the_embedded_stack_runs() -> None:
    assert COMPOSE["services"]["kafka"]["image"] == f"apache/kafka:{kafka_version(locked_jars())}"


def test_the_dockerfile_copies_every_part_of_the_package() -> None:
    copied = set(re.findall(r"^COPY (\w+) \1$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE))
    assert copied == {"schemas", "producers", "stream", "sinks", "deploy", "cli"}
