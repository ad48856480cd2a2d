"""The jars: fetched from a Maven repository (here a local one), kept, and never used unchecked."""

import hashlib
import http.server
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from embedded_support import DEADLINE_S, ONLY_CLICKHOUSE_EXTERNAL, clean_env, program

from keytrail.deploy.embedded.jars import Jar, JarCache, JarError, kafka_version, locked_jars
from keytrail.deploy.embedded.maven import MavenRepository, kafka_cache
from keytrail.schemas.errors import KeytrailError, UnavailableError

CONTENTS = {f"part-{number}": f"jar number {number}".encode() * 1000 for number in range(8)}
JARS = (
    *(Jar("org.example", name, "1.0", hashlib.sha256(data).hexdigest()) for name, data in CONTENTS.items()),
    Jar("org.example", "kafka_2.13", "1.0", hashlib.sha256(b"broker").hexdigest()),
)


class Repository:
    """A Maven repository on loopback; `files` may be changed, `asked` counts."""

    def __init__(self) -> None:
        self.files = {f"/org/example/{name}/1.0/{name}-1.0.jar": data for name, data in CONTENTS.items()}
        self.files["/org/example/kafka_2.13/1.0/kafka_2.13-1.0.jar"] = b"broker"
        self.asked: list[str] = []
        repository = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                repository.asked.append(self.path)
                data = repository.files.get(self.path)
                self.send_response(404 if data is None else 200)
                self.send_header("Content-Length", str(len(data or b"")))
                self.end_headers()
                self.wfile.write(data or b"")

            def log_message(self, *args: object) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://user:s3cret@127.0.0.1:{self.server.server_port}"


@pytest.fixture
def repository() -> Iterator[Repository]:
    repository = Repository()
    yield repository
    repository.server.shutdown()
    repository.server.server_close()


def cache(folder: Path, repository: Repository, said: list[str] | None = None) -> JarCache:
    return JarCache(
        folder,
        JARS,
        lambda: MavenRepository(repository.url).stream,
        [].append if said is None else said.append,
        sleep=lambda _seconds: None,
    )


def test_the_lock_file_lists_coordinates_and_checksums_alone() -> None:
    jars = locked_jars()
    assert len({jar.file_name for jar in jars}) == len(jars) == 45
    assert all(re.fullmatch("[0-9a-f]{64}", jar.sha256) for jar in jars)
    assert kafka_version(jars).startswith("4.4.")


def test_jars_are_fetched_once_and_then_used_without_a_network(
    tmp_path: Path, repository: Repository, capfd: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    fetched = cache(tmp_path, repository, said)
    fetched.ensure()
    assert [path.read_bytes() for path in fetched.paths] == [*CONTENTS.values(), b"broker"]
    assert said[0] == "Fetching Kafka 1.0: 9 files, this once."
    assert said[-1] == "Fetching Kafka 1.0: 9 of 9."
    asked = len(repository.asked)
    cache(tmp_path, repository).ensure()
    assert len(repository.asked) == asked == len(JARS)
    assert capfd.readouterr().out == ""


def test_two_that_fetch_at_once_fetch_each_jar_once(tmp_path: Path, repository: Repository) -> None:
    caches = [cache(tmp_path, repository) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(JarCache.ensure, caches))
    assert sorted(repository.asked) == sorted(repository.files)
    assert not list(tmp_path.glob("*.part"))


def test_a_jar_served_with_other_bytes_is_refused_and_not_kept(
    tmp_path: Path, repository: Repository
) -> None:
    path = "/org/example/part-3/1.0/part-3-1.0.jar"
    repository.files[path] = b"something else"
    with pytest.raises(JarError, match=r"org\.example:part-3:1\.0") as refused:
        cache(tmp_path, repository).ensure()
    assert "proxy or the mirror" in refused.value.remedy
    assert not (tmp_path / "part-3-1.0.jar").exists()
    repository.files[path] = CONTENTS["part-3"]
    cache(tmp_path, repository).ensure()


@pytest.mark.parametrize("missing", [True, False])
def test_a_repository_that_fails_is_named_without_its_password(
    tmp_path: Path, repository: Repository, missing: bool
) -> None:
    if missing:
        repository.files.clear()
    else:
        repository.server.shutdown()
        repository.server.server_close()
    with pytest.raises(UnavailableError, match="could not be fetched") as failed:
        cache(tmp_path, repository).ensure()
    assert "KEYTRAIL_MAVEN_URL" in failed.value.remedy
    assert "s3cret" not in str(failed.value)


def test_what_a_killed_fetch_left_behind_is_removed(tmp_path: Path, repository: Repository) -> None:
    (tmp_path / ".part-1-1.0.jar.part").write_bytes(b"half a j")
    cache(tmp_path, repository).ensure()
    assert not list(tmp_path.glob(".*.part"))


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, repository: Repository) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KeytrailError, match="cannot be kept in") as failed:
        cache(tmp_path / "file" / "cache", repository).ensure()
    assert "XDG_CACHE_HOME" in failed.value.remedy


def test_the_stack_refuses_to_start_with_a_damaged_jar(tmp_path: Path) -> None:
    """On a copy of the real cache, with one byte of one jar changed."""
    real = kafka_cache(lambda _line: None)
    real.ensure()
    copy = tmp_path / "cache" / "keytrail" / real.folder.name
    copy.mkdir(parents=True)
    for path in real.paths:
        shutil.copyfile(path, copy / path.name)
    damaged = copy / real.paths[7].name
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    ended = subprocess.run(
        program(tmp_path / "data"),
        env=clean_env({**ONLY_CLICKHOUSE_EXTERNAL, "XDG_CACHE_HOME": str(tmp_path / "cache")}),
        check=False,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert ended.returncode == 1
    assert f"{damaged} is damaged or was changed" in ended.stderr
    assert "Delete this file and start again" in ended.stderr
