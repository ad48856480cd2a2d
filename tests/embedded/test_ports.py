"""Free ports for the stack's parts."""

import pytest

from keytrail.deploy.embedded import ports
from keytrail.deploy.embedded.ports import claim, free_port
from keytrail.schemas.errors import UsageError


def test_no_port_is_given_out_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    few = [free_port() for _ in range(3)]
    monkeypatch.setattr(ports, "_CHOSEN_FROM", few)
    monkeypatch.setattr(ports, "_given_out", set())
    assert {free_port() for _ in few} == set(few)
    with pytest.raises(UsageError, match="No free port was found"):
        free_port()


def test_a_port_that_somebody_chose_is_not_given_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = free_port(), free_port()
    monkeypatch.setattr(ports, "_CHOSEN_FROM", [one, other])
    monkeypatch.setattr(ports, "_given_out", set())
    assert claim(one, "kafka", "--kafka-port") == one
    assert free_port() == other
