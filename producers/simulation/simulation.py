"""The simulation: what was planned and the ordinary traffic, merged into one stream."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from random import Random

from keytrail.producers.signing import Sign
from keytrail.producers.simulation.calendar import Calendar
from keytrail.producers.simulation.founding import Founding, size_for
from keytrail.producers.simulation.injections.catalogue import inject
from keytrail.producers.simulation.keys import KeyRing
from keytrail.producers.simulation.lifecycle import plan_lifecycle
from keytrail.producers.simulation.policy import policy_text
from keytrail.producers.simulation.presence import sign_in_between
from keytrail.producers.simulation.rota import plan_rotations
from keytrail.producers.simulation.signatures import sign_by
from keytrail.producers.simulation.stage import Stage
from keytrail.producers.simulation.traffic import Traffic
from keytrail.producers.simulation.truth import Label
from keytrail.schemas.errors import UsageError
from keytrail.schemas.records import Event, Key
from keytrail.schemas.signature import Masters

DEFAULT_START = date(2026, 1, 5)
FEWEST_EVENTS = 100
# Anomalies and near misses alone take some 2,000. The rest keeps everybody's key from looking dormant.
FEWEST_WITH_ANOMALIES = 3_000
# Keys are up to three years older than the first day, and no time lies before 1970.
_FIRST_YEAR, _LAST_YEAR = 1975, 9000


class Simulation:
    """Half a year of a made-up company's audit events, `events` in number.

    The same arguments give the same keys, events and truth, byte for byte.  What is kept in
    memory grows with the company, not with the events.  Raises `UsageError` where `events` are too
    few or `start` is out of reach.

    With `own_policy` there are more kinds of anomalies, most of which only the company's own `policy` finds;
    some of the events have to be sent with the signatures that a `signer` makes.
    """

    def __init__(
        self,
        events: int,
        seed: int,
        start: date = DEFAULT_START,
        *,
        anomalies: bool = True,
        own_policy: bool = False,
    ) -> None:
        fewest = FEWEST_WITH_ANOMALIES if anomalies else FEWEST_EVENTS
        if events < fewest:
            raise UsageError(
                f"{events} events are too few for a simulation.",
                f"Ask for {fewest} or more" + (", or leave the anomalies out." if anomalies else "."),
            )
        if not _FIRST_YEAR <= start.year <= _LAST_YEAR:
            raise UsageError(
                f"The simulation cannot start in {start.year}.",
                f"Choose a year from {_FIRST_YEAR} to {_LAST_YEAR}.",
            )
        self._count = events
        self._name = f"simulation-{seed}-{events}-{start.isoformat()}" + ("" if anomalies else "-plain")
        self._name += "-own-policy" if own_policy else ""
        self._calendar = Calendar(start)
        rng = Random(f"{self._name}/plan")  # noqa: S311
        self._ring = KeyRing(rng)
        self._company = Founding(size_for(events), self._ring, self._calendar, rng).found()
        stage = Stage(self._company, self._ring, self._calendar, rng)
        if anomalies:
            inject(stage, events, own_policy=own_policy)
        plan_rotations(stage, plan_lifecycle(stage), events)
        sign_in_between(stage)
        self._catalogue = stage.catalogue
        self._planned = sorted(stage.plan.events.values(), key=lambda event: event.occurred_at)
        self._plan = replace(stage.plan, events={})

    def keys(self) -> list[Key]:
        """Every key of the company in its final form; they must be known before the first event."""
        return list(self._ring)

    def policy(self) -> str:
        """The company's own policy file: what is in roles and groups, which duties are kept apart, who has to
        sign, and which findings somebody answers for."""
        return policy_text(
            self._catalogue, self._plan.described, self._plan.signing_keys, self._plan.exceptions
        )

    def truth(self) -> list[Label]:
        """What is to be found in the events, and what is not, in the order in which it happens."""
        return sorted(self._plan.labels, key=lambda label: label.at)

    def signer(self, masters: Masters) -> Sign:
        """Signs the events that are to be signed, rightly or not.

        Raises `UsageError` where there are some, as with `own_policy`, and no master secret.
        """
        return sign_by(self._plan.hands, masters)

    def events(self) -> Iterator[Event]:
        """All events, ordered by `occurred_at` but for some that are a few seconds late.

        May be called again, and then gives the same events.
        """
        rng = Random(f"{self._name}/traffic")  # noqa: S311
        traffic = Traffic(self._company, self._plan, self._calendar, rng, f"{self._name}-traffic")
        planned = self._numbered()
        following = next(planned, None)
        for event in traffic.events(self._count - len(self._planned)):
            while following is not None and following.occurred_at <= event.occurred_at:
                yield following
                following = next(planned, None)
            yield event
        if following is not None:
            yield following
        yield from planned

    def _numbered(self) -> Iterator[Event]:
        """The planned events in order.

        Those that no producer was planned for count as one producer's, and the traffic as another's.
        """
        number = 0
        for event in self._planned:
            if event.producer_id:
                yield event
            else:
                number += 1
                yield replace(event, producer_id=f"{self._name}-planned", sequence=number)
