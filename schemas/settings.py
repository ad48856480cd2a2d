"""Where the engines are: Kafka, the schema registry, ClickHouse, and the embedded stack's folder.

Each value is looked up in this order: what the caller gives (a flag), the environment
(`KEYTRAIL_*`), `keytrail.toml` in the working directory (or the file that `KEYTRAIL_CONFIG`
names), and last the running embedded stack, which writes its addresses to `stack.json` in its
data directory.
"""

import json
import os
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from keytrail.schemas.errors import UsageError
from keytrail.schemas.privacy import SEALABLE, PrivacySettings

DEFAULT_DATA_DIR = Path("keytrail-data")
STACK_FILE = "stack.json"
ALL_ENGINES = ("kafka", "registry", "clickhouse")
_KAFKA_ENV = "KEYTRAIL_KAFKA_"
_NOT_LIBRDKAFKA = {"BOOTSTRAP"}


@dataclass(frozen=True)
class KafkaSettings:
    """`properties` are librdkafka's own (SASL, TLS, ...) and passed to every client unchanged."""

    bootstrap: str
    properties: Mapping[str, str] = field(default_factory=dict, repr=False)

    def client(self, **more: str | int | float | bool) -> dict[str, str | int | float | bool]:
        """A configuration for a confluent-kafka client; `a_b=1` stands for `a.b`."""
        return {
            "bootstrap.servers": self.bootstrap,
            "reconnect.backoff.max.ms": 1000,  # the default lets a client wait 10 s for a broker that is back
            **self.properties,
            **{name.replace("_", "."): value for name, value in more.items()},
        }

    def reader(self, **more: str | int | float | bool) -> dict[str, str | int | float | bool]:
        """A configuration for a consumer that checks checksums, which librdkafka by default does not."""
        return self.client(check_crcs=True, **more)


@dataclass(frozen=True)
class HttpSettings:
    """An HTTP service: the schema registry or ClickHouse."""

    url: str
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""


@dataclass(frozen=True)
class Settings:
    """`masters` is the file of master secrets, `checkpoint_keys` that of the keys that checkpoints are signed
    with; they need not be there.  `anchor` is a file outside, and `anchor_command` a command, that take
    copies of the checkpoints; empty: none.  `privacy_secrets` is the file of privacy mode's secrets.
    """

    data_dir: Path
    kafka: KafkaSettings
    registry: HttpSettings
    clickhouse: HttpSettings
    database: str = "keytrail"
    masters: Path = Path("masters.json")
    checkpoint_keys: Path = Path("checkpoint-keys.json")
    anchor: str = ""
    anchor_command: str = ""
    privacy: PrivacySettings = field(default_factory=PrivacySettings)
    privacy_secrets: Path = Path("privacy.json")


def load_settings(
    *,
    data_dir: Path | None = None,
    kafka: str | None = None,
    registry: str | None = None,
    clickhouse: str | None = None,
    needs: Collection[str] = ALL_ENGINES,
    env: Mapping[str, str] = os.environ,
) -> Settings:
    """The settings in force for a command that talks to a running pipeline.

    Raises `UsageError` where the address of one that is among `needs` is given nowhere and no
    embedded stack runs; the address of another may then be empty.
    """
    file = _read_config(env)
    folder = find_data_dir(data_dir, env)
    stack = read_stack(folder)

    def lookup(given: str | None, section: str, name: str) -> str:
        variable = f"KEYTRAIL_{section}_{name}".upper()
        value = (
            given or env.get(variable) or file.get(section, {}).get(name) or stack.get(f"{section}_{name}")
        )
        return str(value) if value else ""

    def address(given: str | None, section: str, name: str) -> str:
        value = lookup(given, section, name)
        if value or section not in needs:
            return value
        raise UsageError(
            f"No {section} address: no stack runs in {folder}, and none is configured.",
            f"Start one with `keytrail up --data-dir {folder}`, "
            f"or set KEYTRAIL_{section.upper()}_{name.upper()}.",
        )

    def http(given: str | None, section: str) -> HttpSettings:
        return HttpSettings(
            url=address(given, section, "url"),
            user=lookup(None, section, "user"),
            password=lookup(None, section, "password"),
            ca_file=lookup(None, section, "ca_file"),
        )

    return Settings(
        data_dir=folder,
        kafka=KafkaSettings(address(kafka, "kafka", "bootstrap"), kafka_properties(env)),
        registry=http(registry, "registry"),
        clickhouse=http(clickhouse, "clickhouse"),
        database=lookup(None, "clickhouse", "database") or "keytrail",
        masters=Path(lookup(None, "signing", "masters") or folder / "masters.json"),
        checkpoint_keys=Path(lookup(None, "proof", "keys") or folder / "checkpoint-keys.json"),
        anchor=lookup(None, "proof", "anchor"),
        anchor_command=lookup(None, "proof", "anchor_command"),
        privacy=_privacy(lambda name: lookup(None, "privacy", name)),
        privacy_secrets=Path(lookup(None, "privacy", "secrets") or folder / "privacy.json"),
    )


def _privacy(named: Callable[[str], str]) -> PrivacySettings:
    mode = named("mode") or "off"
    if mode not in ("on", "off"):
        raise UsageError(f"The privacy mode is {mode!r}.", "KEYTRAIL_PRIVACY_MODE takes on or off.")
    usual = PrivacySettings()

    def several(name: str, otherwise: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(part for item in named(name).split(",") if (part := item.strip())) or otherwise

    fields = several("fields", usual.fields)
    if unknown := set(fields) - SEALABLE:
        raise UsageError(
            f"Privacy mode cannot seal the field {', '.join(sorted(unknown))}.",
            f"It can: {', '.join(sorted(SEALABLE))}.",
        )
    return PrivacySettings(
        mode == "on",
        several("services", usual.services),
        fields,
        several("plain_attributes", usual.plain_attributes),
    )


def find_data_dir(given: Path | None, env: Mapping[str, str] = os.environ) -> Path:
    """The stack's folder: the flag, `KEYTRAIL_DATA_DIR`, `data_dir` in the file, or `./keytrail-data`."""
    if given is not None:
        return given.absolute()
    if named := env.get("KEYTRAIL_DATA_DIR"):
        return Path(named).absolute()
    named_in_file = _read_config(env).get("", {}).get("data_dir")
    return Path(str(named_in_file) if named_in_file else DEFAULT_DATA_DIR).absolute()


def find_policy_file(given: Path | None, env: Mapping[str, str] = os.environ) -> Path | None:
    """The policy file: the flag, `KEYTRAIL_POLICY`, or `policy` in the file; None where none is named."""
    if given is not None:
        return given.absolute()
    named = env.get("KEYTRAIL_POLICY") or _read_config(env).get("", {}).get("policy")
    return Path(named).absolute() if named else None


def configured(section: str, name: str, env: Mapping[str, str] = os.environ) -> str:
    """A value from the environment or the file alone, or "": it tells an external engine from an embedded."""
    return env.get(f"KEYTRAIL_{section}_{name}".upper()) or str(
        _read_config(env).get(section, {}).get(name, "")
    )


def sections_below(section: str, env: Mapping[str, str] = os.environ) -> dict[str, dict[str, str]]:
    """The file's sections `[section.NAME]` by their names, in its order."""
    start = f"{section}."
    return {
        name.removeprefix(start): values
        for name, values in _read_config(env).items()
        if name.startswith(start)
    }


def kafka_properties(env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """librdkafka's properties: `[kafka.properties]`, and variables like `KEYTRAIL_KAFKA_SASL_PASSWORD`."""
    properties = dict(_read_config(env).get("kafka.properties", {}))
    for variable, value in env.items():
        name = variable.removeprefix(_KAFKA_ENV)
        if name != variable and name not in _NOT_LIBRDKAFKA:
            properties[name.lower().replace("_", ".")] = value
    return properties


def read_stack(data_dir: Path) -> dict[str, str]:
    """The addresses that a running embedded stack wrote down, or nothing."""
    try:
        found = json.loads((data_dir / STACK_FILE).read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{data_dir / STACK_FILE} cannot be read ({error}).",
            "Run `keytrail down` and `keytrail up` to have it written anew.",
        ) from error
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def _read_config(env: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """`keytrail.toml` as section -> name -> text; top-level names stand in section ""."""
    path = Path(env.get("KEYTRAIL_CONFIG", "keytrail.toml"))
    try:
        parsed = tomllib.loads(path.read_text())
    except FileNotFoundError:
        if "KEYTRAIL_CONFIG" in env:
            raise UsageError(f"{path} is not there.", "Correct or unset KEYTRAIL_CONFIG.") from None
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}.", "Correct it.") from error
    sections: dict[str, dict[str, str]] = {"": {}}

    def flatten(prefix: str, table: Mapping[str, object]) -> None:
        for name, value in table.items():
            if isinstance(value, dict):
                flatten(f"{prefix}.{name}" if prefix else name, value)
            else:
                sections.setdefault(prefix, {})[name] = str(value)

    # Kafka's own property names hold dots, quoted or not: both spellings mean the same.
    properties = (
        parsed.get("kafka", {}).pop("properties", {}) if isinstance(parsed.get("kafka"), dict) else {}
    )
    flatten("", parsed)
    sections["kafka.properties"] = _dotted(properties)
    return sections


def _dotted(table: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in table.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict):
            flat.update(_dotted(value, f"{path}."))
        else:
            flat[path] = str(value).lower() if isinstance(value, bool) else str(value)
    return flat
