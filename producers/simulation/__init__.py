"""A made-up company's audit traffic with known anomalies in it; start at `Simulation`.

The company is founded, its half year is planned (who joins, moves and leaves, who is on call,
which anomalies happen), and then ordinary traffic flows around the plan.
"""

from keytrail.producers.simulation.simulation import DEFAULT_START, Simulation
from keytrail.producers.simulation.truth import Finding, Label

__all__ = ["DEFAULT_START", "Finding", "Label", "Simulation"]
