"""When a key's conduct is out of the ordinary: parameters of the rules over it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class BurstLimits:
    """How many access changes are too many; see `detections.provisioning_burst` and `mass_revoke`."""

    given: int = 25
    taken: int = 25
    by_provisioners: int = 500
    minutes: int = 10
