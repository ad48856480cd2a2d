"""What ends the way of a block before it is dealt with."""

from keytrail.schemas.errors import KeytrailError


class StoppedError(KeytrailError):
    """The sink was told to stop while it waited."""


class ReopenError(KeytrailError):
    """What this sink knows of a partition is out of date: it has to be opened anew."""


class FencedError(ReopenError):
    """A higher claim on the partition was made."""


class LostAnswerError(ReopenError):
    """An insert was sent and no answer came: it may have run, may run now, or may run yet."""


class ReplacedError(ReopenError):
    """The topic was deleted and made anew."""
