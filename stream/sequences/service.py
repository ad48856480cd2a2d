"""What is kept of a service for the runs that are not kept: there were too many, or they rested."""

import json
from dataclasses import dataclass

from keytrail.stream.detections.sequence_holes import RunHoles
from keytrail.stream.errors import StateFormError
from keytrail.stream.sequences.run import NOT_YET

_FORM = 1  # of the packed state


@dataclass
class Service:
    """Of runs that are new, numbers up to the hour `blind` may have been turned away.

    Runs whose last number came in the hour `forgot`, or before, may have made room for others.  `gone` is
    what all runs lacked that were forgotten.
    """

    blind: int = NOT_YET
    forgot: int = NOT_YET
    gone: RunHoles | None = None

    def lose(self, lacked: RunHoles) -> None:
        """A run is forgotten that lacked this."""
        known = self.gone
        if known is None:
            self.gone = lacked._replace(producer_id="", first=0, last=0)
            return
        strays = [one.first_stray for one in (known, lacked) if one.stray]
        self.gone = known._replace(
            missing=known.missing + lacked.missing,
            told=known.told + lacked.told,
            stray=known.stray + lacked.stray,
            first_stray=min(strays, default=0),
            since=min(known.since, lacked.since),
            until=max(known.until, lacked.until),
            runs=known.runs + lacked.runs,
        )


def pack(service: Service) -> bytes:
    """As stored; see `unpack`."""
    fields = [_FORM, service.blind, service.forgot, service.gone]
    return json.dumps(fields, separators=(",", ":")).encode()


def unpack(packed: bytes) -> Service:
    form, blind, forgot, gone = json.loads(packed)
    if form != _FORM:
        raise StateFormError("service that numbers", form)
    return Service(blind, forgot, None if gone is None else RunHoles(*gone))
