"""Identities drawn from the simulation's chance: the same seed gives the same ids."""

from random import Random

from keytrail.schemas.records import Micros

EVENT_ID_DIGITS = 18


def event_id(at: Micros, digits: str) -> str:
    """A UUIDv7 of the simulated time and `EVENT_ID_DIGITS` random hex digits."""
    time = f"{at // 1000:012x}"
    # "a" is one of the four digits that the variant of RFC 9562 allows.
    return f"{time[:8]}-{time[8:]}-7{digits[:3]}-a{digits[3:6]}-{digits[6:]}"


def hex_digits(rng: Random, count: int) -> str:
    return f"{rng.getrandbits(4 * count):0{count}x}"


def ticket(rng: Random) -> str:
    return f"ACC-{rng.randint(10_000, 999_999)}"
