"""A Maven repository as a source of jars, through the `maven-artifact` package."""

import os
from collections.abc import Callable, Iterator, Mapping

from keytrail.deploy.embedded.jars import Jar, JarCache, cache_folder, kafka_version, locked_jars
from keytrail.schemas.errors import UnavailableError

_TIMEOUTS_S = (10, 60)  # to connect, between two reads
_CHUNK_BYTES = 1 << 18


class MavenRepository:
    """`base` is the repository's URL; without one it is `maven-artifact`'s own default.  Thread-safe."""

    def __init__(self, base: str = "") -> None:
        # Imported here: it brings lxml and requests, which a start with a full cache does not need.
        from maven_artifact.downloader import Downloader

        self._downloader = Downloader(base=base) if base else Downloader()

    def stream(self, jar: Jar) -> Iterator[bytes]:
        """The jar's bytes, unchecked; raises `UnavailableError`."""
        from maven_artifact.artifact import Artifact
        from requests import RequestException, Response

        def give_up(_url: str, error: Exception) -> None:
            raise error

        # Not `Downloader.download`: that prints to stdout and sets no timeout.
        url = self._downloader.resolver.uri_for_artifact(Artifact(jar.group, jar.artifact, jar.version))
        try:
            response: Response = self._downloader.requestor.request(
                url, give_up, stream=True, timeout=_TIMEOUTS_S
            )
            with response:
                yield from response.iter_content(_CHUNK_BYTES)
        except RequestException as error:
            status = "" if error.response is None else f" {error.response.status_code}"
            # The error's own text holds the URL, and with it perhaps a mirror's password.
            raise UnavailableError(
                f"{jar.coordinate} could not be fetched from the Maven repository"
                f" ({type(error).__name__}{status}).",
                "Check the network and the proxy, or name a mirror in KEYTRAIL_MAVEN_URL.",
            ) from None


def kafka_cache(report: Callable[[str], None], env: Mapping[str, str] = os.environ) -> JarCache:
    """This user's cache of the locked Kafka version; nothing is read or fetched yet.

    `KEYTRAIL_MAVEN_URL` names another repository than the default, such as a company's mirror.
    """
    jars = locked_jars()
    return JarCache(
        cache_folder(env) / f"kafka-{kafka_version(jars)}",
        jars,
        lambda: MavenRepository(env.get("KEYTRAIL_MAVEN_URL", "")).stream,
        report,
    )
