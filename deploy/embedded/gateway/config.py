"""What a gateway is told at its start."""

from dataclasses import dataclass, field
from pathlib import Path

from keytrail.schemas.errors import UsageError
from keytrail.schemas.query_log import FOLDER
from keytrail.schemas.readers import READERS_FILE

MIB = 1024 * 1024
PASSWORD_VARIABLE = "KEYTRAIL_GATEWAY_PASSWORD"  # noqa: S105 - the name of a variable


@dataclass(frozen=True)
class GatewayConfig:
    """`data_dir` is owned by one gateway at a time; `port` 0 lets the system choose one.

    Without `user`, every client is let in as `default`.  `max_body_bytes` limits a request body after
    decompression.  At most `readers` queries and `writers` inserts or commands run at once; a request
    waits up to `queue_timeout_s` for its turn.  `drain_timeout_s` is how long running queries may go on
    after SIGTERM before they are stopped.  `reader_file` names those who may only read; what they
    may read is in `database`.
    """

    data_dir: Path
    port: int
    host: str = "127.0.0.1"
    user: str = ""
    password: str = field(default="", repr=False)
    max_body_bytes: int = 512 * MIB
    readers: int = 16
    writers: int = 8
    queue_timeout_s: float = 60
    drain_timeout_s: float = 20
    reader_file: Path = Path(READERS_FILE)
    database: str = "keytrail"

    def __post_init__(self) -> None:
        if self.password and not self.user:
            raise UsageError("A password without a user checks nothing.", "Give --user as well.")
        if not 0 <= self.port <= 65535:
            raise UsageError(f"There is no port {self.port}.", "Choose one from 1 to 65535.")
        if "?" in str(self.data_dir):
            raise UsageError(
                f"The engine cannot use a folder with '?' in its name: {self.data_dir}.",
                "Choose another data directory.",
            )

    @property
    def engine_dir(self) -> Path:
        return self.data_dir / "chdb"

    @property
    def spool_dir(self) -> Path:
        """Holds unnamed temporary files only: bodies and results too large for memory."""
        return self.data_dir / "spool"

    @property
    def query_log_dir(self) -> Path:
        """Where readers' statements are written down."""
        return self.data_dir / FOLDER
