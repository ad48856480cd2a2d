"""What is installed: every package, as `pyproject.toml` lists them by hand."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PARTS = ("schemas", "producers", "stream", "sinks", "deploy", "cli")


def test_every_package_is_listed() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    there = {
        ".".join(("keytrail", *init.parent.relative_to(ROOT).parts))
        for part in PARTS
        for init in (ROOT / part).rglob("__init__.py")
    }
    assert set(listed) >= there
    assert {name.split(".")[1] for name in listed} == set(PARTS)
