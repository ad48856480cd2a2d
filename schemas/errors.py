"""The family of errors: every error that keytrail raises on purpose is a `KeytrailError`."""


class KeytrailError(Exception):
    """Something went wrong that a person can act on.

    `message` says what happened and to what; `remedy` says what to do, in a sentence.  Neither
    may hold a secret or the content of an event.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".rstrip()


class UsageError(KeytrailError):
    """A command or a setting was used wrongly; the command line exits with 2."""


class UnavailableError(KeytrailError):
    """Kafka, the schema registry or ClickHouse cannot be reached now; trying later may help."""


class SchemaError(KeytrailError):
    """A schema is unknown, unreadable or incompatible."""
