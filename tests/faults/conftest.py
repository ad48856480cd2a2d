"""`--faults N --fault-seed S --fault-rate R`: how much the fault suite does."""

import pytest

SHORT = 6
# Its first six faults hit worker, sink, broker and both of the worker's and the sink's links.
SEED = 120


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--faults", type=int, default=SHORT, help="how many faults (%(default)s)")
    parser.addoption("--fault-seed", type=int, default=SEED, help="the same seed plans the same faults")
    parser.addoption("--fault-rate", type=float, default=5_000, help="events a second (%(default)s)")
