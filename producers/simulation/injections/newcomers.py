"""People and services beside the company's own, of projects of theirs; no ordinary traffic is theirs."""

from collections.abc import Callable
from dataclasses import replace

from keytrail.producers.simulation.company import Member, Team
from keytrail.producers.simulation.ids import hex_digits
from keytrail.producers.simulation.injections import candidates
from keytrail.producers.simulation.stage import Stage


def newcomer(stage: Stage, suits: Callable[[Member], bool] = candidates.person) -> Member:
    """Somebody like one of the members, so that nobody has to be claimed.  Its key is still that member's."""
    like = stage.rng.choice([member for member in stage.company.members if suits(member)])
    project = Team(f"project-{hex_digits(stage.rng, 8)}", "small", like.team.roles)
    return replace(like, number=-2, name=f"{project.name}-one", team=project)
