"""The inventory: access held before the first day, stated by the identity service in its first hours."""

from keytrail.producers.simulation.calendar import HOUR
from keytrail.producers.simulation.company import Posture
from keytrail.producers.simulation.stage import INVENTORY_HOURS, Stage
from keytrail.schemas.records import Micros


def take_inventory(stage: Stage, present: list[Posture]) -> None:
    """One grant for each role of those who are there, evenly spread over the inventory's hours."""
    grants = [(posture.member, role) for posture in present for role in posture.roles]
    pace = INVENTORY_HOURS * HOUR // (len(grants) + 1)
    for number, (member, role) in enumerate(grants, 1):
        at = Micros(stage.calendar.begin + number * pace)
        is_privileged = role is member.team.roles.privileged
        stage.tell(
            stage.scribe.change(
                at,
                "grant",
                member,
                role=role,
                reason="inventory of access held before",
                ticket=stage.scribe.ticket() if is_privileged else None,
                approved_by=stage.company.approver_for(member).name if is_privileged else None,
            )
        )
