"""The page on writing a rule is true: its rule is built from it, entered as it says, and passes its test."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from keytrail.stream.detections import catalogue
from keytrail.stream.detections.catalogue import EVENT_RULES, EventRule
from keytrail.stream.stages import judging

PAGE = Path(__file__).parents[2] / "docs" / "writing-a-rule.md"


def test_the_rule_of_the_page_finds_what_its_test_expects(monkeypatch: pytest.MonkeyPatch) -> None:
    module_text, entry, test_text = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    rule = ModuleType("keytrail.stream.detections.production_delete")
    monkeypatch.setitem(sys.modules, rule.__name__, rule)
    exec(module_text, vars(rule))  # noqa: S102 - our own page
    asked = eval(entry, {"production_delete": rule, "EventRule": EventRule})  # noqa: S307 - our own page
    monkeypatch.setattr(judging, "EVENT_RULES", (*EVENT_RULES, asked))
    for given in asked.gives:
        monkeypatch.setitem(catalogue.RULES, given.name, given)
    names: dict[str, object] = {}
    exec(test_text, names)  # noqa: S102 - our own page
    [test] = [value for name, value in names.items() if name.startswith("test_")]
    assert callable(test)

    test()
