"""The form in which what a subject holds is stored; states of earlier forms are still read.

Names of roles, and the places and keys that they were granted for and with, stand once: all else names them
by their number.  A long one is deflated: ids and times of twenty roles take half of it (decision 048).
"""

import json
import zlib
from collections.abc import Iterable
from typing import Any

from keytrail.schemas.records import Occurrence
from keytrail.stream.access.access import Orphaned, SubjectAccess
from keytrail.stream.access.membership import Membership, Sight
from keytrail.stream.access.role import DAY, Role, Turn
from keytrail.stream.errors import StateFormError

FORM = 5
# Bytes from which on a state is deflated; it is then some half as long, for a fifth more time.
_LONG = 1_024
_JSON = b"["
_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def pack(access: SubjectAccess) -> bytes:
    """The state as stored; see `unpack`."""
    teams = list(access.membership.sights)
    place_of_team = {team: place for place, team in enumerate(teams)}
    spots = list(dict.fromkeys((role.environment, role.resource, role.key) for role in access.roles.values()))
    number_of_spot = {spot: number for number, spot in enumerate(spots)}
    place_of_role = {name: place for place, name in enumerate(access.roles)}
    roles = {name: _pack_role(role, place_of_team, number_of_spot) for name, role in access.roles.items()}
    deleted = [access.deleted.occurred_at, access.deleted.event_id] if access.deleted else None

    def places(names: Iterable[str]) -> list[int | str]:
        return [place_of_role.get(name, name) for name in sorted(names)]

    packed = _json(
        [
            FORM,
            roles,
            {team: list(sight) for team, sight in access.membership.sights.items()},
            access.latest_day,
            deleted,
            access.reported_team,
            access.reported_roles,
            places(access.redundant),
            sorted(access.toxic),
            places(access.overdue),
            places(access.flapping),
            sorted(access.left_teams),
            spots,
            [[place_of_role.get(name, name), told] for name, told in sorted(access.orphaned.items())],
        ]
    ).encode()
    return packed if len(packed) < _LONG else zlib.compress(packed, zlib.Z_BEST_SPEED)


def unpack(packed: bytes) -> SubjectAccess:
    if not packed.startswith(_JSON):
        packed = zlib.decompress(packed)
    form, *fields = json.loads(packed)
    if form in (1, 2):
        return _unpack_old(fields if form == 2 else [*fields, [], []])
    if form == 3:
        # Before environments and resources of grants were kept.
        roles = {name: [*packed[:8], 0, *packed[8:]] for name, packed in fields[0].items()}
        fields = [roles, *fields[1:], [("", "")], []]
    elif form == 4:
        # Before keys of grants were.
        fields = [*fields, []]
    elif form != FORM:
        raise StateFormError("subject", form)
    roles, sights, latest, deleted, reported_team, reported_roles, redundant, toxic, *rest = fields
    overdue, flapping, left_teams, spots, orphaned = rest
    teams, names = list(sights), list(roles)

    def name_at(place: int | str) -> str:
        return names[place] if isinstance(place, int) else place

    def named(places: list[int | str]) -> set[str]:
        return {name_at(place) for place in places}

    return SubjectAccess(
        roles={name: _unpack_role(role, teams, spots) for name, role in roles.items()},
        membership=Membership({team: Sight(*sight) for team, sight in sights.items()}),
        latest_day=latest,
        deleted=Occurrence(*deleted) if deleted else None,
        reported_team=reported_team,
        reported_roles=reported_roles,
        redundant=named(redundant),
        toxic=set(toxic),
        overdue=named(overdue),
        flapping=named(flapping),
        left_teams=set(left_teams),
        orphaned={name_at(place): tuple(Orphaned(*one) for one in told) for place, told in orphaned},
    )


_Packed = list[int | str | list[str]]


def _pack_role(
    role: Role, place_of_team: dict[str, int], number_of_spot: dict[tuple[str, str, str], int]
) -> _Packed:
    changed, turns = role.changed, role.turns
    packed: _Packed = [
        int(role.held),
        changed.occurred_at,
        changed.event_id,
        list(role.permissions),
        role.last_used_day,
        role.ends_day,
        place_of_team.get(role.team, role.team),
        place_of_team.get(role.told_team, role.told_team),
        number_of_spot[role.environment, role.resource, role.key],
    ]
    if len(turns) > 1 or (turns and turns[0] != role.only_turn()):
        for turn in turns:
            packed += [turn.at, turn.event_id, int(turn.is_grant)]
    return packed


def _unpack_role(packed: list[Any], teams: list[str], spots: list[list[str]]) -> Role:
    held, at, event_id, permissions, used, ends, team, told_team, spot, *flat = packed
    return Role(
        held == 1,
        Occurrence(at, event_id),
        tuple(permissions),
        used,
        ends,
        teams[team] if isinstance(team, int) else team,
        teams[told_team] if isinstance(told_team, int) else told_team,
        [Turn(flat[n], flat[n + 1], flat[n + 2] == 1) for n in range(0, len(flat), 3)] if flat else [],
        *spots[spot],
    )


def _unpack_old(fields: list[Any]) -> SubjectAccess:
    """Forms 1 and 2: before teams and earlier grants of a role were kept."""
    roles, team, since, latest, deleted, redundant, reported_team, reported_roles, toxic, overdue = fields
    day = -1 if team.startswith("service:") else since // DAY
    return SubjectAccess(
        roles={name: _unpack_old_role(role) for name, role in roles.items()},
        membership=Membership({team: Sight(day, since, day)} if team else {}),
        latest_day=latest,
        deleted=Occurrence(*deleted) if deleted else None,
        redundant=set(redundant),
        reported_team=reported_team,
        reported_roles=reported_roles,
        toxic=set(toxic),
        overdue=set(overdue),
    )


def _unpack_old_role(packed: list[Any]) -> Role:
    held, at, event_id, permissions, used, ends = [*packed, -1][:6]  # the first form had no ends
    return Role(held == 1, Occurrence(at, event_id), tuple(permissions), used, ends)
