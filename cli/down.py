"""`keytrail down`: stop the embedded stack."""

import argparse
from pathlib import Path

from keytrail.deploy.embedded.commands import down
from keytrail.schemas.settings import find_data_dir


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="folder of the stack (./keytrail-data)")


def run(options: argparse.Namespace) -> int:
    return down(find_data_dir(options.data_dir))
