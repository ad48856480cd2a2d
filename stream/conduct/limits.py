"""When a key's conduct is out of the ordinary: parameters of the rules over it."""

from dataclasses import dataclass

from keytrail.stream.policies.places import Place


@dataclass(frozen=True)
class BurstLimits:
    """How many access changes are too many; see `detections.provisioning_burst` and `mass_revoke`."""

    given: int = 25
    taken: int = 25
    by_provisioners: int = 500
    minutes: int = 10


@dataclass(frozen=True)
class RefusalLimits:
    """How many refusals before a success are too many; see `detections.denials_then_success`."""

    least: int = 10
    minutes: int = 30


@dataclass(frozen=True)
class DormancyLimits:
    """How long a key may lie unused; see `detections.dormant_key_awakes` and `dormant_privileged_key`."""

    days: int = 90


@dataclass(frozen=True)
class NetworkLimits:
    """How well a key's networks must be known before another is new; see `detections.new_network`."""

    days: int = 14
    days_of_use: int = 5


@dataclass(frozen=True)
class SharingLimits:
    """How many may use one key on one day; see `detections.shared_key`.  `expected`: patterns of key ids."""

    actors: int = 2
    expected: tuple[str, ...] = ()


@dataclass(frozen=True)
class CadenceLimits:
    """How many hours in 24 a person's key may be in use; see `detections.automation_cadence`."""

    hours: int = 20


@dataclass(frozen=True)
class TravelLimits:
    """How fast anybody travels; see `detections.impossible_travel`.  `places` are where networks are."""

    speed_kmh: int = 1_000
    least_km: int = 300
    places: tuple[Place, ...] = ()
