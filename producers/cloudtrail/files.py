"""Finding audit log files and reading them as text, compressed or not."""

import codecs
import gzip
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from io import BufferedReader
from itertools import chain
from pathlib import Path

from keytrail.schemas.errors import UsageError

STDIN = Path("-")
_SUFFIXES = (".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".ndjson.gz")
# Beside the log files, CloudTrail stores these in the same bucket: signatures over the files, not records.
_NOT_RECORDS = "CloudTrail-Digest"
_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK_BYTES = 256 * 1024


def find_files(paths: Iterable[Path]) -> Iterator[Path]:
    """The files meant by `paths`, in order: a file itself, a folder's log files sorted by name, `-` as it is.

    Raises `UsageError`, at once, for a path that is not there.
    """
    given = list(paths)
    for path in given:
        if path != STDIN and not path.exists():
            raise UsageError(f"{path} is not there.", "Name files, folders, or - for standard input.")
    return chain.from_iterable(_in_folder(path) if path.is_dir() else [path] for path in given)


def _in_folder(top: Path) -> Iterator[Path]:
    for folder, subfolders, names in os.walk(top):
        subfolders[:] = sorted(name for name in subfolders if name != _NOT_RECORDS)
        yield from (Path(folder, name) for name in sorted(names) if name.lower().endswith(_SUFFIXES))


def read_text(path: Path, stdin: BufferedReader) -> Iterator[str]:
    """The file's text in pieces of up to 256 KiB, decompressed where its first bytes say gzip.

    Bytes that are not UTF-8 become lone surrogates, which the publisher repairs and marks.
    Raises `OSError`, `EOFError` or `zlib.error` where the file cannot be read on.
    """
    with ExitStack() as stack:
        raw = stdin if path == STDIN else stack.enter_context(path.open("rb"))
        compressed = raw.peek(2)[:2] == _GZIP_MAGIC
        source = stack.enter_context(gzip.GzipFile(fileobj=raw)) if compressed else raw
        decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
        while data := source.read1(_CHUNK_BYTES):
            yield decoder.decode(data)
        yield decoder.decode(b"", final=True)
