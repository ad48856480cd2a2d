"""Where settings come from, and which wins."""

import json
from pathlib import Path

import pytest

from keytrail.schemas.errors import UsageError
from keytrail.schemas.privacy import PrivacySettings
from keytrail.schemas.settings import kafka_properties, load_settings


def test_a_flag_beats_the_environment_which_beats_the_file_which_beats_the_stack(tmp_path: Path) -> None:
    stack = {
        "kafka_bootstrap": "stack:1",
        "registry_url": "http://stack:2",
        "clickhouse_url": "http://stack:3",
    }
    (tmp_path / "stack.json").write_text(json.dumps(stack))
    config = tmp_path / "keytrail.toml"
    env = {"KEYTRAIL_DATA_DIR": str(tmp_path)}
    assert load_settings(env=env).kafka.bootstrap == "stack:1"
    config.write_text('[kafka]\nbootstrap = "file:1"\n[clickhouse]\ndatabase = "audit"\n')
    env["KEYTRAIL_CONFIG"] = str(config)
    assert load_settings(env=env).kafka.bootstrap == "file:1"
    assert load_settings(env=env).database == "audit"
    env["KEYTRAIL_KAFKA_BOOTSTRAP"] = "env:1"
    assert load_settings(env=env).kafka.bootstrap == "env:1"
    assert load_settings(env=env, kafka="flag:1").kafka.bootstrap == "flag:1"
    assert load_settings(env=env).registry.url == "http://stack:2"


def test_librdkafka_properties_pass_through_and_stay_out_of_sight(tmp_path: Path) -> None:
    config = tmp_path / "keytrail.toml"
    config.write_text('[kafka.properties]\n"security.protocol" = "SASL_SSL"\nsasl.username = "audit"\n')
    env = {"KEYTRAIL_CONFIG": str(config), "KEYTRAIL_KAFKA_SASL_PASSWORD": "s3cret"}
    expected = {"security.protocol": "SASL_SSL", "sasl.username": "audit", "sasl.password": "s3cret"}
    assert kafka_properties(env) == expected
    settings = load_settings(env=env, kafka="k:1", registry="http://r", clickhouse="http://c")
    assert settings.kafka.client()["sasl.password"] == "s3cret"
    assert "s3cret" not in repr(settings)


def test_without_an_address_the_error_says_how_to_give_one(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"No kafka address.*keytrail up --data-dir.*KEYTRAIL_KAFKA_BOOTSTRAP"
    ):
        load_settings(env={}, data_dir=tmp_path)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "keytrail.toml"
    broken.write_text("kafka = [")
    with pytest.raises(UsageError, match=r"keytrail\.toml is not valid TOML"):
        load_settings(env={"KEYTRAIL_CONFIG": str(broken)})


def test_privacy_mode_is_off_until_it_is_asked_for(tmp_path: Path) -> None:
    def privacy(**given: str) -> PrivacySettings:
        env = {f"KEYTRAIL_PRIVACY_{name.upper()}": text for name, text in given.items()}
        return load_settings(data_dir=tmp_path, needs=(), env=env).privacy

    assert privacy() == PrivacySettings(on=False)
    assert privacy(mode="on", services="*-bot, billing", fields="reason,ticket") == PrivacySettings(
        on=True, services=("*-bot", "billing"), fields=("reason", "ticket")
    )
    with pytest.raises(UsageError, match="takes on or off"):
        privacy(mode="yes")
    with pytest.raises(UsageError, match="cannot seal the field role"):
        privacy(fields="role,reason")
