"""The commands of `docs/keys.md`, run in their order."""

import re
import shlex
from pathlib import Path

import pytest
from running import Pipeline

PAGE = (Path(__file__).parents[2] / "docs" / "keys.md").read_text()


def test_the_pages_commands_do_what_it_says(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "keys.csv").write_text("key_id,owner,kind,scope_actions\nold-1,robot,service,grant;revoke\n")
    monkeypatch.chdir(tmp_path)
    commands = 0
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL):
        for command in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, *expected = command.splitlines()
            program, *words = shlex.split(line)
            assert program == "keytrail"
            capsys.readouterr()
            assert pipeline.command(*words) == 0, line
            printed = capsys.readouterr().out.splitlines()
            assert printed[: len(expected)] == expected
            commands += 1
    assert commands > 8
