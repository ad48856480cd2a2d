"""Where an event comes from, as far as it states that or the policy knows its network.

A place is a text: latitude and longitude in degrees, to a tenth (some 11 km), and a name where there is one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from math import asin, cos, radians, sin, sqrt

from keytrail.schemas.records import Event

ATTRIBUTE = "location"
_EARTH_KM = 6_371.0
_STATED = re.compile(r"\s*(-?\d{1,3}(?:\.\d{1,20})?)\s*,\s*(-?\d{1,3}(?:\.\d{1,20})?)\s*", re.ASCII)
_MOST_REMEMBERED = 50_000


@dataclass(frozen=True)
class Place:
    """Networks in CIDR notation and where they are, in degrees; north and east are above 0."""

    name: str
    networks: tuple[str, ...]
    latitude: float
    longitude: float


class Places:
    """By one policy.  Not thread-safe."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._networks: list[tuple[IPv4Network | IPv6Network, str]] = [
            (ip_network(network, strict=False), _text(place.latitude, place.longitude, place.name))
            for place in places
            for network in place.networks
        ]
        # The narrowest network that an address is in says where it is.
        self._networks.sort(key=lambda one: -one[0].prefixlen)
        self._by_address: dict[str, str | None] = {}

    def of(self, event: Event) -> str | None:
        """What the event states, or else where its address is; None where neither is known."""
        if event.attributes and (stated := event.attributes.get(ATTRIBUTE)) is not None:
            return _read(stated)
        if not self._networks or event.source_ip is None:
            return None
        try:
            return self._by_address[event.source_ip]
        except KeyError:
            if len(self._by_address) >= _MOST_REMEMBERED:
                self._by_address.clear()
            place = self._by_address[event.source_ip] = self._look_up(event.source_ip)
            return place

    def _look_up(self, address: str) -> str | None:
        try:
            ip = ip_address(address)
        except ValueError:
            return None
        return next((place for network, place in self._networks if ip in network), None)


def name_of(place: str) -> str:
    """What a person calls the place: its name, or else its degrees."""
    degrees, _, name = place.partition(" ")
    return name or degrees


@lru_cache(maxsize=4_096)
def km_between(one: str, other: str) -> float:
    """Along the surface, by the haversine formula, of a sphere."""
    (north, east), (other_north, other_east) = _radians(one), _radians(other)
    half = sin((other_north - north) / 2) ** 2
    half += cos(north) * cos(other_north) * sin((other_east - east) / 2) ** 2
    return 2 * _EARTH_KM * asin(min(1.0, sqrt(half)))


def _radians(place: str) -> tuple[float, float]:
    latitude, longitude = place.partition(" ")[0].split(",")
    return radians(float(latitude)), radians(float(longitude))


@lru_cache(maxsize=4_096)
def _read(stated: str) -> str | None:
    """None for what is no place on earth."""
    if (found := _STATED.fullmatch(stated)) is None:
        return None
    latitude, longitude = float(found[1]), float(found[2])
    return _text(latitude, longitude) if abs(latitude) <= 90 and abs(longitude) <= 180 else None


def _text(latitude: float, longitude: float, name: str = "") -> str:
    return f"{latitude:.1f},{longitude:.1f} {name}".rstrip()
