"""Errors of the stream."""

from keytrail.schemas.errors import KeytrailError


class TransactionFailedError(KeytrailError):
    """A batch's transaction did not commit; none of its output is visible.

    The worker ends: its state in memory is ahead of what was committed.  When it starts again it
    reads the state back and goes on at the committed offset.
    """


class StateFormError(KeytrailError):
    """State in a changelog was written by another version of keytrail."""

    def __init__(self, what: str, form: object) -> None:
        super().__init__(
            f"The {what} state in the changelog has form {form!r}, which this version does not read.",
            "Run the version that wrote it, or one that says it can take it over.",
        )


class UnreadablePolicyError(KeytrailError):
    """An applied policy has what this keytrail does not know.

    The worker ends: to go on by the policy before would judge events by what no longer counts for them.
    """


class FencedError(TransactionFailedError):
    """Another worker has taken the partition over; this one must not write for it any more."""


class StuckError(TransactionFailedError):
    """Kafka's client did not return from a call; whether the batch was committed is not known here.

    The worker ends, and finds out when it starts again.
    """


class LostBatchError(KeytrailError):
    """A batch that was fetched did not reach its partition's task.  The worker ends, and reads it again."""
