"""Kafka's jars: listed with their SHA-256 in `kafka-jars.lock`, fetched once, checked at each start.

They live in the user's cache and need no network once they are there.  Nothing unlisted ever comes
on the class path, and nothing whose checksum differs.
"""

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from keytrail.schemas.errors import KeytrailError, UnavailableError

_LOCK_FILE = Path(__file__).with_name("kafka-jars.lock")
_BROKER = "kafka_2.13"
_DOWNLOADS_AT_ONCE = 4
_PAUSES_S = (1, 3)  # between a jar's tries
_SAME_MTIME = 315_532_800  # 1980: the JVM's start-up image stays valid when a jar is fetched anew


class JarError(KeytrailError):
    """A jar is not the one that the lock file names."""


@dataclass(frozen=True)
class Jar:
    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def coordinate(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


Stream = Callable[[Jar], Iterator[bytes]]


def locked_jars() -> tuple[Jar, ...]:
    """The jars of the lock file, in its order, which is the order of the class path."""
    return tuple(
        _parse(line) for line in _LOCK_FILE.read_text().splitlines() if line and not line.startswith("#")
    )


def _parse(line: str) -> Jar:
    coordinate, sha256 = line.split()
    group, artifact, version = coordinate.split(":")
    return Jar(group, artifact, version, sha256)


def kafka_version(jars: Sequence[Jar]) -> str:
    return next(jar.version for jar in jars if jar.artifact == _BROKER)


def cache_folder(env: Mapping[str, str] = os.environ) -> Path:
    """`keytrail` in the user's cache: under `XDG_CACHE_HOME`, else under `~/.cache`."""
    base = env.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "keytrail"


class JarCache:
    """The jars of one Kafka version in `folder`.  Several processes may use one folder at once.

    `connect` is called once, and only if a jar is missing.  `report` takes progress, a line a call.
    """

    def __init__(
        self,
        folder: Path,
        jars: Sequence[Jar],
        connect: Callable[[], Stream],
        report: Callable[[str], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.folder = folder
        self._jars = jars
        self._connect = connect
        self._report = report
        self._sleep = sleep

    @property
    def paths(self) -> tuple[Path, ...]:
        """Where the jars are (or will be), in the order of the class path."""
        return tuple(self.folder / jar.file_name for jar in self._jars)

    def ensure(self) -> None:
        """Fetches what is missing, then checks every jar.  Blocks.

        Raises `JarError` for a jar whose checksum differs, `UnavailableError` where a missing one
        cannot be fetched, `KeytrailError` where it cannot be kept.
        """
        if self._missing():
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                with self._only_one_fetches():
                    self._fetch(self._missing())
            except OSError as error:
                raise KeytrailError(
                    f"Kafka's jars cannot be kept in {self.folder}: {error.strerror}.",
                    "Make room or set XDG_CACHE_HOME to a folder that can be written.",
                ) from error
        with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
            list(pool.map(self._check, self._jars))

    def _missing(self) -> list[Jar]:
        return [jar for jar in self._jars if not (self.folder / jar.file_name).exists()]

    def _check(self, jar: Jar) -> None:
        path = self.folder / jar.file_name
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != jar.sha256:
            raise JarError(
                f"{path} is damaged or was changed: its SHA-256 is {found}, not {jar.sha256}.",
                "Delete this file and start again: it is then fetched anew.",
            )

    @contextmanager
    def _only_one_fetches(self) -> Iterator[None]:
        with (self.folder / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._report("Another process is fetching Kafka; waiting for it.")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _fetch(self, missing: Sequence[Jar]) -> None:
        if not missing:
            return
        for left_over in self.folder.glob(".*.part"):
            left_over.unlink()
        what = f"Fetching Kafka {kafka_version(self._jars)}"
        self._report(f"{what}: {len(missing)} files, this once.")
        stream = self._connect()
        quarter = max(len(missing) // 4, 1)
        pool = ThreadPoolExecutor(_DOWNLOADS_AT_ONCE)
        try:
            downloads = [pool.submit(self._fetch_one, stream, jar) for jar in missing]
            for done, download in enumerate(as_completed(downloads), start=1):
                download.result()
                if done % quarter == 0 or done == len(missing):
                    self._report(f"{what}: {done} of {len(missing)}.")
        finally:
            pool.shutdown(cancel_futures=True)

    def _fetch_one(self, stream: Stream, jar: Jar) -> None:
        for pause in _PAUSES_S:
            try:
                return self._fetch_into_place(stream, jar)
            except UnavailableError:
                self._sleep(pause)
        return self._fetch_into_place(stream, jar)

    def _fetch_into_place(self, stream: Stream, jar: Jar) -> None:
        temporary = self.folder / f".{jar.file_name}.part"
        digest = hashlib.sha256()
        with temporary.open("wb") as file:
            for chunk in stream(jar):
                file.write(chunk)
                digest.update(chunk)
        if digest.hexdigest() != jar.sha256:
            temporary.unlink()
            raise JarError(
                f"The Maven repository served another {jar.coordinate} than the one that was locked: its"
                f" SHA-256 is {digest.hexdigest()}, not {jar.sha256}. It was not kept.",
                "Check the proxy or the mirror that this machine reaches the repository through.",
            )
        os.utime(temporary, (_SAME_MTIME, _SAME_MTIME))
        temporary.replace(self.folder / jar.file_name)
