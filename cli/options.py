"""Flags that several commands share."""

import argparse
from collections.abc import Collection
from pathlib import Path

from keytrail.schemas.settings import ALL_ENGINES, Settings, load_settings


def connection_flags(parser: argparse.ArgumentParser) -> None:
    """Which pipeline to talk to; without flags, the one in `KEYTRAIL_DATA_DIR` or ./keytrail-data."""
    group = parser.add_argument_group("which pipeline")
    group.add_argument("--data-dir", type=Path, metavar="DIR", help="folder of the embedded stack")
    group.add_argument("--kafka", metavar="HOST:PORT", help="Kafka's address")
    group.add_argument("--registry", metavar="URL", help="the schema registry's address")
    group.add_argument("--clickhouse", metavar="URL", help="ClickHouse's HTTP address")


def settings_from(options: argparse.Namespace, needs: Collection[str] = ALL_ENGINES) -> Settings:
    """`needs`: the engines whose address must be known."""
    return load_settings(
        data_dir=options.data_dir,
        kafka=options.kafka,
        registry=options.registry,
        clickhouse=options.clickhouse,
        needs=needs,
    )


def pass_over_flag(parser: argparse.ArgumentParser, so_that: str) -> None:
    """Which damaged batches to go on without; `so_that` says what becomes of their records."""
    parser.add_argument(
        "--pass-over",
        action="append",
        default=[],
        metavar="TOPIC/P:OFFSET",
        help=f"go on without the damaged batch that begins there; {so_that}",
    )


def policy_flag(parser: argparse.ArgumentParser) -> None:
    """What the rules are tuned by."""
    parser.add_argument(
        "--policy", type=Path, metavar="FILE", help="the policy file (KEYTRAIL_POLICY; else the built-in one)"
    )


def json_flag(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--json", action="store_true", help="JSON lines, one object a row")
